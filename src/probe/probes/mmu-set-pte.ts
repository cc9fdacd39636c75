// mmu.set_pte, set_pte_at and set_pte_atomic, followed by a flush, must show another page at once.

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

export const mmuSetPte = defineProbe<{
  before: number;
  plain: number;
  at: number;
  atomic: number;
  back: number;
}>({
  id: 'mmu-set-pte',
  title: 'an entry that was set and flushed maps what it says',
  ref: 'SDM 3A 4.10.4',
  about: [
    'mmu.set_pte',
    'mmu.set_pte_at',
    'mmu.set_pte_atomic',
    'mmu.flush_tlb_single',
    'mmu.make_pte',
    'mmu.read_cr3',
  ],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    reportWindow(a, 'before');
    setWindow(a, 'page.a', PAGE_RW);
    flushWindow(a);
    reportWindow(a, 'plain');
    setWindow(a, 'page.b', PAGE_RW, 'mmu.set_pte_at');
    flushWindow(a);
    reportWindow(a, 'at');
    setWindow(a, 'page.a', PAGE_RW, 'mmu.set_pte_atomic');
    flushWindow(a);
    reportWindow(a, 'atomic');
    closeWindow(a);
    reportWindow(a, 'back');
  },
  check({ before, plain, at, atomic, back }, t) {
    t.equal(before, MARK.window, 'the window before');
    t.equal(plain, MARK.a, 'after set_pte');
    t.equal(at, MARK.b, 'after set_pte_at');
    t.equal(atomic, MARK.a, 'after set_pte_atomic');
    t.equal(back, MARK.window, 'as it was');
  },
});
