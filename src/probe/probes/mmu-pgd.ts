// A copy of the top-level table must serve as well as the one it was made from.

import { defineProbe } from '../define.ts';
import { MARK } from '../page-entry.ts';

const PF = 14;

export const mmuPgd = defineProbe<{
  now: number;
  copy: number;
  alive: number;
  back: number;
  reached: number;
  again: number;
  gone: number;
  old: number;
}>({
  id: 'mmu-pgd',
  title: 'mmu.write_cr3 switches to a copy of the top-level table and back',
  ref: 'SDM 3A 4.10.4.1',
  about: [
    'mmu.write_cr3',
    'mmu.read_cr3',
    'mmu.pgd_alloc',
    'mmu.pgd_free',
    'mmu.activate_mm',
    'mmu.exit_mmap',
  ],
  runsOn: 'all',
  guest(a) {
    a.op('mmu.read_cr3').text('mov {bp}, {ax}').report('old', '{ax}');
    a.text('mov {si}, {ax}; mov {di}, page.c; xor eax, eax');
    // PAE's top level has four entries, and more than that may not be table at all.
    a.text(a.bits === 64 ? 'mov ecx, 1024' : 'mov ecx, 8').text('cld; rep movsd');
    // The first entry a second time: the window shows at a place where it does in no other table.
    for (let n = 0; n < 8; n += 4) a.text(`mov eax, [page.c+${n}]; mov [page.c+${n + 8}], eax`);
    a.text('mov eax, page.c; shr eax, 12').op('mmu.pgd_alloc');
    a.text(`mov dword ptr [page.window], ${MARK.window}; mov {bx}, page.window`);
    a.text(a.bits === 64 ? 'bts rbx, 39' : 'or ebx, 0x40000000');
    a.text('mov {ax}, page.c').op('mmu.activate_mm').text('mov {ax}, page.c').op('mmu.write_cr3');
    a.op('mmu.read_cr3').report('now', '{ax}').text('mov eax, page.c').report('copy', 'eax');
    a.text('mov dword ptr [kernel.scratch], 0x77; mov eax, [kernel.scratch]').report(
      'alive',
      'eax',
    );
    a.text('xor eax, eax').tryInsn('mov eax, [{bx}]', 'reached').report('again', 'eax');
    a.text('mov {ax}, {bp}').op('mmu.write_cr3').op('mmu.read_cr3').report('back', '{ax}');
    a.tryInsn('mov eax, [{bx}]', 'gone')
      .text('mov {ax}, page.c')
      .op('mmu.exit_mmap')
      .text('mov eax, page.c; shr eax, 12')
      .op('mmu.pgd_free');
    a.text('mov dword ptr [page.c], 0');
  },
  check({ now, copy, alive, back, old, reached, again, gone }, t) {
    t.equal(now, copy, 'CR3 in the copy');
    t.fault(reached, null, 'an access by the entry that only the copy has');
    t.equal(again, MARK.window, 'what is there');
    t.fault(gone, PF, 'the same access with the old table');
    t.equal(alive, 0x77, 'memory in the copy');
    t.equal(back, old, 'CR3, back');
  },
});
