// SET_PGD: an entry of a top-level table has changed.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const setPgd = defineCall({
  number: LHCALL.SET_PGD,
  name: 'LHCALL_SET_PGD',
  ref: 'drivers/lguest/page_tables.c guest_set_pgd (2.6.32)',
  args: ['top', 'index'],
  handle({ shadow }, top, index) {
    shadow.setPgd(top, index);
  },
});
