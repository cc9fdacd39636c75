// NOTIFY: a device is told of its status or its queue, or text is printed, whichever lies at the address.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const notify = defineCall({
  number: LHCALL.NOTIFY,
  name: 'LHCALL_NOTIFY',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: ['gpa'],
  handle(host, gpa) {
    // Of the launcher's two sides, 0 is what says that nothing is to be told.
    if (gpa !== 0) host.notify(gpa);
  },
});
