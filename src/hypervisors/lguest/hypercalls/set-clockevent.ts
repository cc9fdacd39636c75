// SET_CLOCKEVENT: line 0 is raised once, that many nanoseconds from now; 0 takes it back.

import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const setClockevent = defineCall({
  number: LHCALL.SET_CLOCKEVENT,
  name: 'LHCALL_SET_CLOCKEVENT',
  ref: 'drivers/lguest/interrupts_and_traps.c guest_set_clockevent (2.6.32)',
  args: ['nanos'],
  handle(host, nanos) {
    host.setClockEvent(nanos);
  },
});
