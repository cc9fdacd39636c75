// A kernel must get into ring 3 and back: cpu.iret down, a system call and a fault up, onto the stack of cpu.load_sp0.

import { defineProbe } from '../define.ts';
import { inUserMode } from '../user-mode.ts';

const GP = 13;
const CALL = 0x80;

export const cpuUserMode = defineProbe<{
  call: number;
  call_ring: number;
  below: number;
  fault: number;
  fault_ring: number;
}>({
  id: 'cpu-user-mode',
  title: 'ring 3 comes back by int 0x80 and by faults, onto the stack of cpu.load_sp0',
  ref: 'SDM 3A 6.12.1, 5.8',
  about: ['cpu.load_sp0', 'cpu.iret'],
  runsOn: 'all',
  guest(a) {
    for (const [name, instruction] of [
      ['call', 'int 0x80'],
      ['fault', 'hlt'],
    ] as const) {
      inUserMode(a, instruction);
      a.text('mov eax, [trap.vector]').report(name, 'eax');
      a.text('mov eax, [trap.cs]; and eax, 3').report(`${name}_ring`, 'eax');
      a.text('mov eax, page.e; add eax, 4096; sub eax, [trap.frame]').report('below', 'eax');
    }
  },
  check({ call, call_ring, below, fault, fault_ring }, t) {
    t.fault(call, CALL, 'the system call');
    t.equal(call_ring, 3, 'the ring that it came from');
    t.fault(fault, GP, 'hlt in ring 3');
    t.equal(fault_ring, 3, 'the ring that it came from');
    t.ok(below > 0 && below < 512, 'the frame lies just below the top of the stack');
  },
});
