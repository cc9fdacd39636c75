// SET_STACK: where entries from ring 3 begin, and how many pages of it have to be there.

import { GUEST_PL, LHCALL } from '../abi.ts';
import { killGuest } from '../host.ts';
import { defineCall } from './define.ts';

/** A kernel stack is one page or two (drivers/lguest/interrupts_and_traps.c). */
const PAGES_MAX = 2;

export const setStack = defineCall({
  number: LHCALL.SET_STACK,
  name: 'LHCALL_SET_STACK',
  ref: 'drivers/lguest/interrupts_and_traps.c guest_set_stack (2.6.32)',
  args: ['ss', 'esp', 'pages'],
  handle(host, ss, esp, pages) {
    if ((ss & 3) !== GUEST_PL) return killGuest(host, `bad stack segment ${ss}`);
    if (pages > PAGES_MAX) return killGuest(host, `bad stack pages ${pages}`);
    host.state.ss1 = ss & 0xffff;
    host.state.esp1 = esp;
    host.state.stackPages = pages;
    host.shadow.pinStack();
  },
});
