// Interfaces with parts left out: what the guest finds, what the verdict says of it, and what is refused.

import { describe, expect, it } from 'vitest';
import { findInterface, omittableParts, withoutParts } from '../hypervisors/index.ts';
import { runKernel } from './run.ts';
import { CLI_LOOP, KeepingConsole, printing, stillHost, tinySpec } from './testing/tiny-kernel.ts';

const KICK_CPU = [0xb8, 5, 0, 0, 0, 0x0f, 0x01, 0xc1]; // mov eax, KVM_HC_KICK_CPU; vmcall
const FEATURES = [0xb8, 1, 0, 0, 0x40, 0x0f, 0xa2]; // mov eax, 0x40000001; cpuid
const OUT_EAX = [0x66, 0xba, 0xf8, 0x03, 0x88, 0xc3, 0xee]; // mov dx, 0x3f8; mov bl, al; out dx, al
/** xor edx, edx; xor eax, eax; mov ecx, MSR_KVM_STEAL_TIME; wrmsr */
const STEAL_TIME = [0x31, 0xd2, 0x31, 0xc0, 0xb9, 0x03, 0x4d, 0x56, 0x4b, 0x0f, 0x30];

async function runWithout(parts: readonly string[], code: readonly number[]) {
  const { on, omissions } = withoutParts(findInterface('kvm'), parts);
  const console = new KeepingConsole();
  const spec = tinySpec([...code, ...printing('INIT-UP\n'), ...CLI_LOOP], { on, omissions });
  return { ...(await runKernel(stillHost, console, spec)), text: console.text };
}

describe('an interface without a part', () => {
  it('answers a call as one that never had it, and the verdict says so', async () => {
    const result = await runWithout(['KVM_HC_KICK_CPU'], [...KICK_CPU, ...KICK_CPU, ...OUT_EAX]);
    expect(result.text.charCodeAt(0)).toBe(-1000 & 0xff); // -KVM_ENOSYS
    expect(result.interface).toBe('kvm@6.1 without KVM_HC_KICK_CPU');
    expect(result.omissions).toEqual([{ name: 'KVM_HC_KICK_CPU', asked: 2 }]);
    expect(result.reason).toBe(
      'the console printed INIT-UP; it asked 2 times for KVM_HC_KICK_CPU and was told that there is none',
    );
    const whole = await runWithout([], [...KICK_CPU, ...OUT_EAX]);
    expect(whole.text.charCodeAt(0)).toBe(0);
    expect(whole.omissions).toEqual([]);
  });

  it('does not show a feature bit, and has no MSR that hangs on it', async () => {
    const code = [...FEATURES, ...OUT_EAX];
    const bits = async (parts: readonly string[]) =>
      (await runWithout(parts, code)).text.charCodeAt(0);
    const [KVM_FEATURE_NOP_IO_DELAY, KVM_FEATURE_STEAL_TIME] = [1 << 1, 1 << 5];
    const whole = await bits([]);
    expect(await bits(['KVM_FEATURE_NOP_IO_DELAY'])).toBe(whole & ~KVM_FEATURE_NOP_IO_DELAY);
    expect(await bits(['KVM_FEATURE_STEAL_TIME'])).toBe(whole & ~KVM_FEATURE_STEAL_TIME);
    // #GP without an IDT is the end of the machine.
    expect((await runWithout(['KVM_FEATURE_STEAL_TIME'], STEAL_TIME)).verdict).toBe('panic');
    expect((await runWithout(['MSR_KVM_STEAL_TIME'], STEAL_TIME)).verdict).toBe('panic');
    expect((await runWithout([], STEAL_TIME)).verdict).toBe('up');
  });

  it('says when the guest did not care', async () => {
    const result = await runWithout(['KVM_HC_SEND_IPI'], FEATURES);
    expect(result.reason).toContain('it never asked for KVM_HC_SEND_IPI');
  });
});

describe('the parts that can be left out', () => {
  it('are the calls and features of the interface and version', () => {
    const parts = omittableParts(findInterface('xen-pv'));
    for (const name of [
      'mmuext_op.MMUEXT_PIN_L4_TABLE',
      'mmu_update.MMU_NORMAL_PT_UPDATE',
      'sched_op.SCHEDOP_block',
      'set_trap_table',
      'XENFEAT_mmu_pt_update_preserve_ad',
    ])
      expect(parts).toContain(name);
    expect(omittableParts(findInterface('kvm@2.6.32'))).not.toContain('KVM_HC_SEND_IPI');
    expect(omittableParts(findInterface('native'))).toEqual([]);
  });

  it('are suggested to who misspells one', () => {
    const ask = (name: string, part: string) => () => withoutParts(findInterface(name), [part]);
    expect(ask('xen-pv', 'MMUEXT_PIN_L4_TABLE')).toThrow(
      "xen-pv@4.17 has no part 'MMUEXT_PIN_L4_TABLE' that could be left out",
    );
    expect(ask('kvm', 'KVM_HC_KIK_CPU')).toThrow(/KVM_HC_KIK_CPU/);
    expect(ask('native', 'CPUID')).toThrow('nothing can be left out of native');
  });
});
