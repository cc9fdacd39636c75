// HALT: waits until an interrupt can be delivered.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const halt = defineCall({
  number: LHCALL.HALT,
  name: 'LHCALL_HALT',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: [],
  handle({ state }) {
    state.halted = true;
  },
});
