// cpu.set_iopl_mask must open the ports to ring 3, and shut them again.

import { defineProbe } from '../define.ts';
import { inUserMode } from '../user-mode.ts';

const [GP, CALL] = [13, 0x80];
/** System control port B: reading it changes nothing. */
const PORT = 0x61;

export const cpuIopl = defineProbe<{ open: number; shut: number }>({
  id: 'cpu-iopl',
  title: 'cpu.set_iopl_mask lets ring 3 at the ports with IOPL 3, and not with 0',
  ref: 'SDM 1 19.5.1; xen/include/public/physdev.h PHYSDEVOP_set_iopl',
  about: ['cpu.set_iopl_mask'],
  runsOn: 'all',
  guest(a) {
    a.op('irq.irq_disable');
    for (const [name, iopl] of [
      ['open', 3],
      ['shut', 0],
    ] as const) {
      a.text(`mov eax, ${iopl << 12}`).op('cpu.set_iopl_mask');
      // Flags of a program are made from the kernel's.
      a.text(a.bits === 64 ? 'pushfq; pop rsi' : 'pushfd; pop esi').text('and esi, 0x3002');
      inUserMode(a, `in al, ${PORT}; int ${CALL}`, '{si}');
      a.text('mov eax, [trap.vector]').report(name, 'eax');
    }
  },
  check({ open, shut }, t) {
    t.fault(open, CALL, 'ring 3 behind its IN with IOPL 3');
    t.fault(shut, GP, 'IN in ring 3 with IOPL 0');
  },
});
