// LOAD_IDT_ENTRY: one gate of the guest's IDT.

import { LHCALL } from '../abi.ts';
import { loadIdtEntry as load } from '../gates.ts';
import { defineCall } from './define.ts';

export const loadIdtEntry = defineCall({
  number: LHCALL.LOAD_IDT_ENTRY,
  name: 'LHCALL_LOAD_IDT_ENTRY',
  ref: 'drivers/lguest/interrupts_and_traps.c load_guest_idt_entry (2.6.32)',
  args: ['vector', 'lo', 'hi'],
  handle: load,
});
