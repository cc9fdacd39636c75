// A page must become a page table, be reached through mmu.set_pmd, and become an ordinary page again.

import { defineProbe } from '../define.ts';
import { loadEntry, MARK, PAGE_RW } from '../page-entry.ts';

/** Nothing is mapped here, or a large page of memory that is not there; its table of the level above exists everywhere. */
const PLACE = 0x3fe00000;
const PF = 14;

export const mmuTables = defineProbe<{ shown: number; written: number; gone: number }>({
  id: 'mmu-tables',
  title: 'alloc_pte and set_pmd make a table, pmd_clear and release_pte take it away',
  ref: 'SDM 3A 4.4, 4.5',
  about: ['mmu.alloc_pte', 'mmu.release_pte', 'mmu.set_pmd', 'mmu.pmd_clear'],
  runsOn: 'all',
  guest(a) {
    a.text(`mov dword ptr [page.a], ${MARK.a}; mov dword ptr [page.a+4], 0`);
    a.text('mov {di}, page.d; xor eax, eax; mov ecx, 1024; cld; rep stosd');
    loadEntry(a, 'page.a', PAGE_RW);
    a.text(a.bits === 64 ? 'mov [page.d], rdx' : 'mov [page.d], edx; mov [page.d+4], ecx');
    a.text('mov eax, page.d; shr eax, 12').op('mmu.alloc_pte');
    a.text(`mov {ax}, ${PLACE}; call kernel.pmd_of; mov {bp}, {ax}`);
    loadEntry(a, 'page.d', 7);
    a.text('mov {ax}, {bp}').op('mmu.set_pmd').op('mmu.flush_tlb_kernel');
    a.text(`mov {bx}, ${PLACE}; mov eax, [{bx}]`).report('shown', 'eax');
    a.text('mov dword ptr [{bx}+4], 9; mov eax, [page.a+4]').report('written', 'eax');
    a.text('mov {ax}, {bp}').op('mmu.pmd_clear').op('mmu.flush_tlb_kernel');
    a.tryInsn('mov eax, [{bx}]', 'gone');
    a.text('mov eax, page.d; shr eax, 12').op('mmu.release_pte').text('mov dword ptr [page.d], 0');
  },
  check({ shown, written, gone }, t) {
    t.equal(shown, MARK.a, 'what the new table shows');
    t.equal(written, 9, 'what was written through it');
    t.fault(gone, PF, 'an access once it is gone');
  },
});
