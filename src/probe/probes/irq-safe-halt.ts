// irq.safe_halt must wait for the next interrupt, take it, and leave interrupts on.

import { armClock } from '../clock.ts';
import { defineProbe } from '../define.ts';

export const irqSafeHalt = defineProbe<{
  before: number;
  after: number;
  flags: number;
  waited: number;
}>({
  id: 'irq-safe-halt',
  title: 'irq.safe_halt returns with the interrupt taken and interrupts on',
  ref: 'SDM 2A HLT, 2B STI',
  about: ['irq.safe_halt'],
  runsOn: 'all',
  guest(a) {
    a.op('irq.irq_disable').text('mov dword ptr [kernel.ticks], 0');
    armClock(a, 50_000);
    a.text('mov eax, [kernel.ticks]').report('before', 'eax');
    a.op('time.sched_clock').text('mov ebx, eax').op('irq.safe_halt');
    a.text('mov eax, [kernel.ticks]')
      .report('after', 'eax')
      .op('irq.save_fl')
      .report('flags', 'eax');
    a.op('time.sched_clock').text('sub eax, ebx').report('waited', 'eax').op('irq.irq_disable');
  },
  check({ before, after, flags, waited }, t) {
    t.equal(before, 0, 'interrupts before');
    t.equal(after, 1, 'interrupts after');
    t.equal(flags & 0x200, 0x200, 'IF after');
    t.ok(waited > 1000, 'time has passed in the halt');
  },
});
