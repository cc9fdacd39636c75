// What is queued in lazy mode must be there once it is left.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  MARK,
  openWindow,
  reportWindow,
  setWindow,
} from '../page-entry.ts';

export const mmuLazy = defineProbe<{ after: number; back: number }>({
  id: 'mmu-lazy',
  title: 'changes made between lazy_mode.enter and leave are there afterwards',
  ref: 'arch/x86/include/asm/paravirt_types.h enum paravirt_lazy_mode (2.6.32)',
  about: ['mmu.lazy_mode.enter', 'mmu.lazy_mode.leave'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    a.text('mov eax, [{bx}]').op('mmu.lazy_mode.enter');
    setWindow(a, 'page.a');
    setWindow(a, 'page.b');
    flushWindow(a);
    a.op('mmu.lazy_mode.leave');
    reportWindow(a, 'after');
    closeWindow(a);
    reportWindow(a, 'back');
  },
  check({ after, back }, t) {
    t.equal(after, MARK.b, 'the last of two changes');
    t.equal(back, MARK.window, 'the window, as it was');
  },
});
