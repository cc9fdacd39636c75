// FLUSH_TLB: forgets the user part of the running table, or everything of all tables.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const flushTlb = defineCall({
  number: LHCALL.FLUSH_TLB,
  name: 'LHCALL_FLUSH_TLB',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: ['all'],
  handle({ shadow }, all) {
    if (all === 0) shadow.flushUser();
    else shadow.clearAll();
  },
});
