// Where tables are checked, an ordinary store to a table must be done by emulation, as the assistance for it promises.

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

const PF = 14;

export const mmuPlainStore = defineProbe<{
  stored: number;
  shown: number;
  refused: number;
  kept: number;
}>({
  id: 'mmu-plain-store',
  title: 'a plain store to an entry changes it, and one that may not be faults',
  ref: 'xen/include/public/xen.h VMASST_TYPE_writable_pagetables',
  about: ['mmu.set_pte'],
  runsOn: ({ traits }) =>
    traits.pageTables === 'checked' ? null : 'a store to a table is nothing but a store',
  guest(a) {
    openWindow(a);
    loadEntry(a, 'page.a', PAGE_RW);
    a.tryInsn('mov [{bp}], {dx}', 'stored');
    flushWindow(a);
    reportWindow(a, 'shown');
    // A frame that no guest has.
    a.text(a.bits === 64 ? 'mov rdx, 0x7fffffff067' : 'mov edx, 0xfffff067');
    a.tryInsn('mov [{bp}], {dx}', 'refused');
    flushWindow(a);
    reportWindow(a, 'kept');
    closeWindow(a);
  },
  check({ stored, shown, refused, kept }, t) {
    t.fault(stored, null, 'the store');
    t.equal(shown, MARK.a, 'what the window shows after it');
    t.fault(refused, PF, "a store of a frame that is not the guest's");
    t.equal(kept, MARK.a, 'what the window shows after that');
  },
});
