// LOAD_GDT_ENTRY: one descriptor of the guest's GDT.

import { LHCALL } from '../abi.ts';
import { GDT_ENTRIES, killGuest } from '../host.ts';
import { defineCall } from './define.ts';

export const loadGdtEntry = defineCall({
  number: LHCALL.LOAD_GDT_ENTRY,
  name: 'LHCALL_LOAD_GDT_ENTRY',
  ref: 'drivers/lguest/segments.c load_guest_gdt_entry (2.6.32)',
  args: ['index', 'lo', 'hi'],
  handle(host, index, lo, hi) {
    if (index >= GDT_ENTRIES) return killGuest(host, `too many gdt entries ${index}`);
    host.descriptors.store(index, lo, hi);
  },
});
