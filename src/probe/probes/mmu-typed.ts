// Where tables are checked, a writable mapping of a table must be refused, and so must a table that is writable elsewhere.

import { defineProbe } from '../define.ts';
import {
  closeWindow,
  flushWindow,
  MARK,
  openWindow,
  PAGE_RO,
  reportEntry,
  reportWindow,
  setWindow,
} from '../page-entry.ts';

export const mmuTyped = defineProbe<{
  writable: number;
  readable: number;
  table: number;
  shown: number;
}>({
  id: 'mmu-typed',
  title: 'a page table cannot be mapped writable, and can be mapped read-only',
  ref: 'xen/include/public/xen.h mmu_update',
  about: ['mmu.set_pte'],
  runsOn: ({ traits }) =>
    traits.pageTables === 'checked' ? null : 'any page may be mapped in any way',
  guest(a) {
    openWindow(a);
    // The table that maps the window.
    a.text('mov {ax}, {bp}; and {ax}, -4096; mov [kernel.scratch], {ax}').report('table', 'eax');
    const map = (flags: number) => {
      a.text(`mov {ax}, [kernel.scratch]; or {ax}, ${flags}; xor edx, edx`).op('mmu.make_pte');
      a.text(a.bits === 64 ? 'mov rdx, rax' : 'mov ecx, edx; mov edx, eax');
      a.text('mov {ax}, {bp}').op('mmu.set_pte');
    };
    map(0x67);
    reportEntry(a, 'writable');
    flushWindow(a);
    reportWindow(a, 'shown');
    map(PAGE_RO);
    reportEntry(a, 'readable');
    closeWindow(a);
    setWindow(a, 'page.window');
  },
  check({ writable, readable, table, shown }, t) {
    t.ok(
      (writable & 0xfffff000) >>> 0 !== table,
      'the entry has not changed when the mapping was to be writable',
    );
    t.equal(shown, MARK.window, 'the window, all the time');
    t.equal((readable & 0xfffff000) >>> 0, table, 'the entry when it was to be read-only');
  },
});
