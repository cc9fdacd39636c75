// mmu.flush_tlb_user and flush_tlb_kernel must drop what the TLB remembers, the latter global translations too.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  MARK,
  openWindow,
  PAGE_RW,
  PTE,
  reportWindow,
  setWindow,
} from '../page-entry.ts';

export const mmuFlush = defineProbe<{ user: number; kernel: number; all: number }>({
  id: 'mmu-flush',
  title: 'flush_tlb_user drops a translation, flush_tlb_kernel a global one',
  ref: 'SDM 3A 4.10.4.1',
  about: ['mmu.flush_tlb_user', 'mmu.flush_tlb_kernel'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    a.text('mov eax, [{bx}]');
    setWindow(a, 'page.a');
    a.op('mmu.flush_tlb_user');
    reportWindow(a, 'user');
    setWindow(a, 'page.b', PAGE_RW | PTE.G);
    a.op('mmu.flush_tlb_kernel');
    reportWindow(a, 'kernel');
    setWindow(a, 'page.a', PAGE_RW | PTE.G);
    a.op('mmu.flush_tlb_kernel');
    reportWindow(a, 'all');
    closeWindow(a);
    a.op('mmu.flush_tlb_kernel');
  },
  check({ user, kernel, all }, t) {
    t.equal(user, MARK.a, 'after flush_tlb_user');
    t.equal(kernel, MARK.b, 'after flush_tlb_kernel');
    t.equal(all, MARK.a, 'a global page after flush_tlb_kernel');
  },
});
