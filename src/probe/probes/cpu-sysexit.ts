// cpu.irq_enable_sysexit must go to ring 3, where its registers say, with interrupts on; without a segment it must fault.

import { defineProbe } from '../define.ts';

const [GP, CALL] = [13, 0x80];
const MSR_SYSENTER_CS = 0x174;
const KERNEL_CS = 0x60;
const IF = 0x200;

export const cpuSysexit = defineProbe<{
  call: number;
  ring: number;
  flags: number;
  bare: number;
}>({
  id: 'cpu-sysexit',
  title: 'cpu.irq_enable_sysexit goes to ring 3 with interrupts on, and needs IA32_SYSENTER_CS',
  ref: 'SDM 2B SYSEXIT',
  about: ['cpu.irq_enable_sysexit'],
  runsOn: ({ bits }) => (bits === 32 ? null : 'for programs of 32 bits, as cpu.usergs_sysret32'),
  guest(a) {
    const [user, back] = [a.fresh('user'), a.fresh('user')];
    const setCs = (value: number) =>
      a.text(`mov ecx, ${MSR_SYSENTER_CS}; mov eax, ${value}; xor edx, edx`).op('cpu.write_msr');
    a.op('irq.irq_disable').text('mov eax, page.e; add eax, 4096').op('cpu.load_sp0');
    // Refused where SYSEXIT is not the guest's own: then it needs none of this.
    setCs(KERNEL_CS);
    a.text(`mov dword ptr [kernel.escape], ${back}; mov [kernel.recover_sp], esp`);
    a.text(`mov edx, ${user}; mov ecx, page.d; add ecx, 4096`);
    a.text(`jmp dword ptr [ops.cpu.irq_enable_sysexit]; ${user}:; int ${CALL}; ${back}:`);
    a.text('mov eax, ss; mov ds, ax; mov es, ax; mov eax, [trap.vector]').report('call', 'eax');
    a.text('mov eax, [trap.cs]; and eax, 3').report('ring', 'eax');
    a.text('mov eax, [trap.flags]').report('flags', 'eax').op('irq.irq_disable');
    setCs(0);
    a.attempt('bare', (b) => b.text('xor edx, edx; xor ecx, ecx; sysexit'));
  },
  check({ call, ring, flags, bare }, t) {
    t.fault(call, CALL, 'int 0x80 in ring 3');
    t.equal(ring, 3, 'the ring that it came from');
    t.equal(flags & IF, IF, 'IF there');
    t.fault(bare, GP, 'SYSEXIT itself with no segment in IA32_SYSENTER_CS');
  },
});
