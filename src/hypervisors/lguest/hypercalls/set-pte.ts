// SET_PTE: the entry for an address of an address space is now this.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const setPte = defineCall({
  number: LHCALL.SET_PTE,
  name: 'LHCALL_SET_PTE',
  ref: 'drivers/lguest/page_tables.c guest_set_pte (2.6.32)',
  args: ['top', 'va', 'lo', 'hi'],
  handle({ shadow, state }, top, va, lo, hi) {
    shadow.setPte(top, va, lo, state.pae ? hi : 0);
  },
});
