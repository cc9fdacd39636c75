// NEW_PGTABLE: another address space; what its shadow still holds goes on to count.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const newPgtable = defineCall({
  number: LHCALL.NEW_PGTABLE,
  name: 'LHCALL_NEW_PGTABLE',
  ref: 'drivers/lguest/page_tables.c guest_new_pagetable (2.6.32)',
  args: ['top'],
  handle({ shadow }, top) {
    shadow.switchTo(top);
  },
});
