// mmu.pte_clear must take the page away.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  MARK,
  openWindow,
  reportEntry,
  reportWindow,
} from '../page-entry.ts';

const PF = 14;
const U = 4;

export const mmuPteClear = defineProbe<{
  gone: number;
  gone_error: number;
  entry: number;
  back: number;
}>({
  id: 'mmu-pte-clear',
  title: 'mmu.pte_clear takes a page away: an access faults',
  ref: 'SDM 3A 4.7',
  about: ['mmu.pte_clear'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    a.text('mov eax, [{bx}]; mov {ax}, {bp}').op('mmu.pte_clear');
    flushWindow(a);
    a.tryInsn('mov eax, [{bx}]', 'gone');
    reportEntry(a, 'entry');
    closeWindow(a);
    reportWindow(a, 'back');
  },
  check({ gone, gone_error, entry, back }, t) {
    t.fault(gone, PF, 'an access');
    t.equal(gone_error & ~U, 0, 'its error code: not present');
    t.equal(entry & 1, 0, 'P of the entry');
    t.equal(back, MARK.window, 'the page, once it is back');
  },
});
