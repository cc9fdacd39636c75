// cpu.load_idt must bring each trap to its own handler, with the error code that the processor gives it.

import { defineProbe } from '../define.ts';

const [DE, BP, UD, GP] = [0, 3, 6, 13];
/** INT n of a vector without a gate: its number, and that it went through the IDT (SDM 3A 6.13). */
const EMPTY = 0x50;

export const cpuIdt = defineProbe<{
  divide: number;
  undefined: number;
  breakpoint: number;
  call: number;
  empty: number;
  empty_error: number;
}>({
  id: 'cpu-idt',
  title: 'each trap arrives as itself; an interrupt without a gate is #GP with its number',
  ref: 'SDM 3A 6.13, 6.15',
  about: ['cpu.load_idt', 'cpu.iret', 'irq.adjust_exception_frame'],
  runsOn: 'all',
  guest(a) {
    a.text('xor ecx, ecx; mov eax, 1; xor edx, edx').tryInsn('div ecx', 'divide');
    a.tryInsn('ud2', 'undefined');
    a.text('int3; mov eax, [trap.vector]').report('breakpoint', 'eax');
    a.text('int 0x80; mov eax, [trap.vector]').report('call', 'eax');
    a.tryInsn(`int ${EMPTY}`, 'empty');
  },
  check({ divide, undefined: ud, breakpoint, call, empty, empty_error }, t) {
    t.fault(divide, DE, 'a division by zero');
    t.fault(ud, UD, 'ud2');
    t.fault(breakpoint, BP, 'int3');
    t.fault(call, 0x80, 'int 0x80');
    t.fault(empty, GP, 'an interrupt without a gate');
    t.equal(empty_error, EMPTY * 8 + 2, 'its error code');
  },
});
