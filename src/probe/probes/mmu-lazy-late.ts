// What is queued in lazy mode must be done when it is left, whether or not anything in between has settled it.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  MARK,
  openWindow,
  PAGE_RW,
  reportWindow,
  setWindow,
} from '../page-entry.ts';

export const mmuLazyLate = defineProbe<{ set: number; set_at: number; back: number }>({
  id: 'mmu-lazy-late',
  title: 'changes in lazy mode that only its end settles are there afterwards',
  ref: 'arch/x86/include/asm/paravirt_types.h enum paravirt_lazy_mode (2.6.32)',
  about: ['mmu.lazy_mode.enter', 'mmu.lazy_mode.leave'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    for (const [page, by, name] of [
      ['page.a', 'mmu.set_pte', 'set'],
      ['page.b', 'mmu.set_pte_at', 'set_at'],
    ] as const) {
      a.text('mov eax, [{bx}]').op('mmu.lazy_mode.enter');
      setWindow(a, page, PAGE_RW, by);
      a.op('mmu.lazy_mode.leave');
      flushWindow(a);
      reportWindow(a, name);
    }
    closeWindow(a);
    reportWindow(a, 'back');
  },
  check({ set, set_at, back }, t) {
    t.equal(set, MARK.a, 'after set_pte');
    t.equal(set_at, MARK.b, 'after set_pte_at');
    t.equal(back, MARK.window, 'the window, as it was');
  },
});
