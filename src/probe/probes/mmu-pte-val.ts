// mmu.make_pte and pte_val must be each other's reverse, and leave entries alone that are not present.

import { defineProbe } from '../define.ts';
import { openWindow, reportEntry } from '../page-entry.ts';

export const mmuPteVal = defineProbe<{ entry: number; window: number; absent: number }>({
  id: 'mmu-pte-val',
  title: "the entry of a page names the page, in the guest's own numbers",
  ref: 'arch/x86/include/asm/paravirt.h pte_val (2.6.32)',
  about: ['mmu.make_pte', 'mmu.pte_val'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    reportEntry(a, 'entry');
    a.report('window', 'ebx').text('mov eax, 0x12345ff0; xor edx, edx').op('mmu.make_pte');
    a.report('absent', 'eax');
  },
  check({ entry, window, absent }, t) {
    t.equal((entry & 0xfffff000) >>> 0, window, 'the frame in the entry of the window');
    t.equal(absent, 0x12345ff0, 'an entry that is not present');
  },
});
