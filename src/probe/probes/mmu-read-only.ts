// A page without RW must be readable, and must fault on writes, by any of the operations that set it.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  MARK,
  openWindow,
  PAGE_RO,
  reportWindow,
  setWindow,
} from '../page-entry.ts';

const PF = 14;
const [P, W, U] = [1, 2, 4];

export const mmuReadOnly = defineProbe<{
  read: number;
  write: number;
  write_error: number;
  write_at: number;
  again: number;
}>({
  id: 'mmu-read-only',
  title: 'a read-only page can be read and not written',
  ref: 'SDM 3A 4.6.1',
  about: ['mmu.set_pte'],
  runsOn: 'all',
  guest(a) {
    openWindow(a);
    setWindow(a, 'page.a', PAGE_RO);
    flushWindow(a);
    reportWindow(a, 'read');
    a.tryInsn('mov dword ptr [{bx}], 7', 'write');
    a.text('mov {ax}, [trap.address]; sub {ax}, {bx}').report('write_at', '{ax}');
    closeWindow(a);
    a.tryInsn('mov dword ptr [{bx}], 8', 'again');
  },
  check({ read, write, write_error, write_at, again }, t) {
    t.equal(read, MARK.a, 'what is there');
    t.fault(write, PF, 'a write');
    t.equal(write_error & ~U, P | W, 'its error code');
    t.equal(write_at, 0, 'its address, from the page on');
    t.fault(again, null, 'a write once it is writable');
  },
});
