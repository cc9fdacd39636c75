// Tables of every level must be linked into the top one, serve, and go again; where tables are checked, none of the wrong level.

import type { ProbeCode } from '../define.ts';
import { defineProbe } from '../define.ts';
import { loadEntry, MARK, PAGE_RW } from '../page-entry.ts';

const PF = 14;
/** P, RW and US; what PAE's top level has of them is P (SDM 3A table 4-8). */
const [TABLE, TABLE_OF_PAE] = [7, 1];
/** The second entry of the top table, and where it maps. */
const SLOT_AT = 8;
const PLACE = { 32: '0x40000000', 64: '0x8000000000' } as const;

export const mmuUpperTables = defineProbe<{
  wrong: number;
  reached: number;
  shown: number;
  cut: number;
  shown_again: number;
  gone: number;
}>({
  id: 'mmu-upper-tables',
  title: 'alloc_pmd and alloc_pud make tables for set_pud and set_pgd, release takes them away',
  ref: 'SDM 3A 4.4, 4.5; xen/include/public/xen.h mmu_update',
  about: ['mmu.alloc_pmd', 'mmu.release_pmd', 'mmu.set_pud'],
  runsOn: 'all',
  guest(a) {
    const wide = a.bits === 64;
    const topSetter = wide ? 'mmu.set_pgd' : 'mmu.set_pud';
    const [upper, flags] = wide
      ? (['page.c', TABLE] as const)
      : (['page.e', TABLE_OF_PAE] as const);
    a.text(`mov dword ptr [page.a], ${MARK.a}`);
    a.op('mmu.read_cr3').text(`lea {bp}, [{ax}+${SLOT_AT}]; mov {bx}, ${PLACE[a.bits]}`);
    fill(a, 'page.d', 'page.a', PAGE_RW);
    a.text('mov eax, page.d; shr eax, 12').op('mmu.alloc_pte');
    loadEntry(a, 'page.d', flags);
    a.text('mov {ax}, {bp}').op(topSetter).text('mov eax, [{bp}]').report('wrong', 'eax');
    empty(a, '{bp}', topSetter);
    fill(a, 'page.e', 'page.d', TABLE);
    a.text('mov eax, page.e; shr eax, 12').op('mmu.alloc_pmd');
    if (wide) {
      fill(a, 'page.c', 'page.e', TABLE);
      a.text('mov eax, page.c; shr eax, 12').op('mmu.alloc_pud');
    }
    const link = () => {
      loadEntry(a, upper, flags);
      a.text('mov {ax}, {bp}').op(topSetter).op('mmu.flush_tlb_user');
    };
    link();
    a.text('xor eax, eax').tryInsn('mov eax, [{bx}]', 'reached').report('shown', 'eax');
    // An entry of the level below the top, where there are four.
    const cut = wide ? 'page.c' : '{bp}';
    empty(a, cut, 'mmu.set_pud');
    a.op('mmu.flush_tlb_user').tryInsn('mov eax, [{bx}]', 'cut');
    if (wide) {
      loadEntry(a, 'page.e', TABLE);
      a.text('mov rax, page.c').op('mmu.set_pud').op('mmu.flush_tlb_user');
    } else link();
    a.text('xor eax, eax').tryInsn('mov eax, [{bx}]', 'again').report('shown_again', 'eax');
    empty(a, '{bp}', topSetter);
    a.op('mmu.flush_tlb_user').tryInsn('mov eax, [{bx}]', 'gone');
    if (wide) a.text('mov eax, page.c; shr eax, 12').op('mmu.release_pud');
    a.text('mov eax, page.e; shr eax, 12').op('mmu.release_pmd');
    a.text('mov eax, page.d; shr eax, 12').op('mmu.release_pte');
    for (const page of ['c', 'd', 'e']) a.text(`mov dword ptr [page.${page}], 0`);
  },
  check({ wrong, reached, shown, cut, shown_again, gone }, t) {
    if (t.facts.traits.pageTables === 'checked')
      t.equal(wrong & 1, 0, 'P of an entry that was to be a table of the wrong level');
    t.fault(reached, null, 'an access by the new tables');
    t.equal(shown, MARK.a, 'what they show');
    t.fault(cut, PF, 'an access without the entry of mmu.set_pud');
    t.equal(shown_again, MARK.a, 'what they show with it again');
    t.fault(gone, PF, 'an access once they are gone');
  },
});

/** A table of one entry, as yet an ordinary page. */
function fill(a: ProbeCode, table: string, entry: string, flags: number): void {
  a.text(`mov {di}, ${table}; xor eax, eax; mov ecx, 1024; cld; rep stosd`);
  loadEntry(a, entry, flags);
  a.text(a.bits === 64 ? `mov [${table}], rdx` : `mov [${table}], edx; mov [${table}+4], ecx`);
}

function empty(a: ProbeCode, where: string, by: 'mmu.set_pud' | 'mmu.set_pgd'): void {
  a.text(`mov {ax}, ${where}; xor edx, edx; xor ecx, ecx`).op(by);
}
