// Where tables are shadowed, a change that is not reported must not show, and must once it is.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  loadEntry,
  MARK,
  openWindow,
  PAGE_RW,
  reportWindow,
} from '../page-entry.ts';

export const mmuUnreported = defineProbe<{ before: number; stale: number; told: number }>({
  id: 'mmu-unreported',
  title: 'a shadowed entry that is changed and not reported goes on to map what it did',
  ref: 'drivers/lguest/page_tables.c (2.6.32)',
  about: ['mmu.flush_tlb_single'],
  runsOn: ({ traits }) =>
    traits.pageTables === 'shadow' ? null : 'the tables are those that the processor walks',
  guest(a) {
    openWindow(a);
    closeWindow(a);
    reportWindow(a, 'before');
    loadEntry(a, 'page.a', PAGE_RW);
    a.text(a.bits === 64 ? 'mov [rbp], rdx' : 'mov [ebp], edx; mov [ebp+4], ecx');
    a.text('call {word} ptr [ops.null_call]');
    reportWindow(a, 'stale');
    flushWindow(a);
    reportWindow(a, 'told');
    closeWindow(a);
  },
  check({ before, stale, told }, t) {
    t.equal(before, MARK.window, 'the window');
    t.equal(stale, MARK.window, 'the window, behind the back of the host');
    t.equal(told, MARK.a, 'the window, once the host is told');
  },
});
