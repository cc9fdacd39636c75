// A page where there was none must show without a flush, since what is absent is not remembered.

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

export const mmuAppears = defineProbe<{ shown: number; written: number; back: number }>({
  id: 'mmu-appears',
  title: 'an entry that becomes present needs no flush',
  ref: 'SDM 3A 4.10.4.3',
  about: ['mmu.set_pte_at', 'mmu.pte_clear'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    a.text('mov eax, [{bx}]; mov {ax}, {bp}').op('mmu.pte_clear');
    flushWindow(a);
    setWindow(a, 'page.a', PAGE_RW, 'mmu.set_pte_at');
    reportWindow(a, 'shown');
    a.text('mov dword ptr [{bx}+4], 7; mov eax, [page.a+4]').report('written', 'eax');
    closeWindow(a);
    reportWindow(a, 'back');
  },
  check({ shown, written, back }, t) {
    t.equal(shown, MARK.a, 'what is there');
    t.equal(written, 7, 'what was written through it');
    t.equal(back, MARK.window, 'the window, as it was');
  },
});
