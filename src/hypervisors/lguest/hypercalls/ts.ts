// TS: whether the next floating-point instruction traps.

import { CR0_TS } from '../../../cpu/control-bits.ts';
import { recomputeFpuFaults } from '../../../cpu/fpu-fault.ts';
import { LHCALL } from '../abi.ts';
import { defineCall } from './define.ts';

export const ts = defineCall({
  number: LHCALL.TS,
  name: 'LHCALL_TS',
  ref: 'drivers/lguest/hypercalls.c do_hcall (2.6.32)',
  args: ['ts'],
  handle({ cpu: { state } }, ts) {
    const cr0 = state.get('cr0');
    state.set('cr0', ts === 0 ? cr0 & ~CR0_TS : cr0 | CR0_TS);
    recomputeFpuFaults(state);
  },
});
