// Interfaces with parts left out: what the guest finds, what the verdict says of it, and what is refused.

import { describe, expect, it } from 'vitest';
import { findInterface, omittableParts, withoutParts } from '../hypervisors/index.ts';
import { probeSpec } from './probe/run-probe.ts';
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
      'the console printed INIT-UP; it asked 2 times for KVM_HC_KICK_CPU, first from 0x100005, and was told that there is none',
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

  it('says what the guest did about it, if it did not come up', async () => {
    const { on, omissions } = withoutParts(findInterface('kvm'), ['KVM_HC_KICK_CPU']);
    const code = [...KICK_CPU, ...FEATURES, ...CLI_LOOP];
    const result = await runKernel(
      stillHost,
      new KeepingConsole(),
      tinySpec(code, { on, omissions }),
    );
    expect(result.verdict).toBe('hung');
    expect(result.reason).toMatch(
      /first from 0x100005, and was told that there is none; the last that it asked for was KVM_CPUID_FEATURES from 0x10000d$/,
    );
  });
});

describe('the probe kernel without a part of the interface', () => {
  const probe = async (id: string, parts: readonly string[]) => {
    const { on, omissions } = withoutParts(findInterface(id), parts);
    const spec = probeSpec({ on, bits: 32, boot: 'direct', engine: 'interpreter', seed: 0 });
    return runKernel(stillHost, new KeepingConsole(), { ...spec, omissions });
  };

  it('of vmi finds no call where the ROM gives none, and asks nobody', async () => {
    const result = await probe('vmi', ['VMI_RDTSC']);
    expect(result.omissions[0]?.asked).toBeGreaterThan(0);
    expect(result.operations.map(({ entryPoint }) => entryPoint)).not.toContain('VMI_RDTSC');
    const without = await probe('vmi', ['VMI_Init']);
    expect(without.verdict).not.toBe('ended');
    expect(without.operations.filter(({ entryPoint }) => entryPoint.startsWith('VMI_'))).toEqual([
      { operations: ['init.arch_setup'], entryPoint: 'VMI_Init', count: 1 },
    ]);
  });

  it('of lguest is ended at the first call that the host does not know', async () => {
    const result = await probe('lguest', ['LHCALL_LOAD_TLS']);
    expect(result).toMatchObject({ verdict: 'ended', omissions: [{ asked: 1 }] });
    expect(result.reason).toContain('Bad hypercall');
    expect((await probe('lguest', ['LHCALL_LGUEST_INIT'])).reason).toContain('before INIT');
    expect((await probe('lguest', [])).verdict).toBe('up');
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
