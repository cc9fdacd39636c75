// What a plain store has changed must be so once mmu.pte_update has told of it.

import { defineProbe } from '../define.ts';
import { closeWindow, flushWindow, openWindow, PTE, reportEntry } from '../page-entry.ts';

const PF = 14;

export const mmuPteUpdate = defineProbe<{ cleared: number; again: number; refused: number }>({
  id: 'mmu-pte-update',
  title: 'mmu.pte_update tells of a plain store: A is set anew, and a page is read-only',
  ref: 'arch/x86/include/asm/paravirt_types.h pv_mmu_ops.pte_update (2.6.32); SDM 3A 4.8',
  about: ['mmu.pte_update'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    a.text('mov eax, [{bx}]');
    const clear = (bits: number) => {
      a.text(`mov {ax}, [{bp}]; and {ax}, ${~bits}; mov [{bp}], {ax}; mov {ax}, {bp}`);
      a.op('mmu.pte_update');
      flushWindow(a);
    };
    clear(PTE.A | PTE.D);
    reportEntry(a, 'cleared');
    a.text('mov eax, [{bx}]');
    reportEntry(a, 'again');
    clear(PTE.RW);
    a.tryInsn('mov dword ptr [{bx}], 1', 'refused');
    closeWindow(a);
  },
  check({ cleared, again, refused }, t) {
    t.equal(cleared & (PTE.A | PTE.D), 0, 'A and D after the store');
    t.equal(again & PTE.A, PTE.A, 'A after a read');
    t.fault(refused, PF, 'a store to the page that has become read-only');
  },
});
