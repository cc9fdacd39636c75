// The processor must note accesses and writes in the entry, also across a change that the kernel makes in two steps.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  openWindow,
  PTE,
  reportEntry,
  setWindow,
} from '../page-entry.ts';

const FRESH = PTE.P | PTE.RW | PTE.US;
const BITS = PTE.A | PTE.D;

export const mmuAccessedDirty = defineProbe<{
  fresh: number;
  read: number;
  written: number;
  started: number;
  committed: number;
}>({
  id: 'mmu-accessed-dirty',
  title: 'A and D are set by the processor and survive ptep_modify_prot',
  ref: 'SDM 3A 4.8',
  about: ['mmu.ptep_modify_prot_start', 'mmu.ptep_modify_prot_commit'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    setWindow(a, 'page.window', FRESH);
    flushWindow(a);
    reportEntry(a, 'fresh');
    a.text('mov eax, [{bx}]');
    reportEntry(a, 'read');
    a.text('mov dword ptr [{bx}], 5');
    reportEntry(a, 'written');
    a.text('mov {ax}, {bp}').op('mmu.ptep_modify_prot_start');
    a.text('mov {si}, {ax}; mov {di}, {dx}').report('started', 'eax');
    a.text(a.bits === 64 ? 'mov rdx, rsi' : 'mov edx, esi; mov ecx, edi');
    a.text('mov {ax}, {bp}').op('mmu.ptep_modify_prot_commit');
    reportEntry(a, 'committed');
    closeWindow(a);
  },
  check({ fresh, read, written, started, committed }, t) {
    t.equal(fresh & BITS, 0, 'A and D of a fresh entry');
    t.equal(read & BITS, PTE.A, 'after a read');
    t.equal(written & BITS, BITS, 'after a write');
    t.equal(started & BITS, BITS, 'as ptep_modify_prot_start has them');
    t.equal(committed & BITS, BITS, 'after ptep_modify_prot_commit');
  },
});
