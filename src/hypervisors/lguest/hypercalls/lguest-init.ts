// LGUEST_INIT after the first one: the guest has told where its data is already.

import { LHCALL } from '../abi.ts';
import { killGuest } from '../host.ts';
import { defineCall } from './define.ts';

export const lguestInit = defineCall({
  number: LHCALL.LGUEST_INIT,
  name: 'LHCALL_LGUEST_INIT',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: ['lguest_data'],
  handle(host) {
    killGuest(host, 'already have lguest_data');
  },
});
