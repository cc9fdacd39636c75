// FLUSH_ASYNC: nothing of its own; the ring is emptied before any call.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const flushAsync = defineCall({
  number: LHCALL.FLUSH_ASYNC,
  name: 'LHCALL_FLUSH_ASYNC',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: [],
  handle() {},
});
