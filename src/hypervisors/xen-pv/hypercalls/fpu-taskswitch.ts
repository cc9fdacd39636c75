// fpu_taskswitch: sets or clears CR0.TS.

import { defineHypercall } from '../../xen/define.ts';
import { setTaskSwitched } from '../emulate.ts';
import { pvOf } from '../pv-domain.ts';

export const fpuTaskswitch = defineHypercall({
  number: 5,
  name: 'fpu_taskswitch',
  ref: 'xen.h __HYPERVISOR_fpu_taskswitch',
  callers: ['pv64', 'pv32'],
  inPlace: true,
  args: { set: 's32' },
  handle(call, { set }) {
    setTaskSwitched(pvOf(call), set !== 0);
    return 0;
  },
});
