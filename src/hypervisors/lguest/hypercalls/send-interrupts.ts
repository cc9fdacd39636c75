// SEND_INTERRUPTS: nothing of its own; what is pending is delivered on every way back.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const sendInterrupts = defineCall({
  number: LHCALL.SEND_INTERRUPTS,
  name: 'LHCALL_SEND_INTERRUPTS',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: [],
  handle() {},
});
