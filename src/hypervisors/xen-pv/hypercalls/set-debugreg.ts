// set_debugreg: the guest's breakpoints.

import { defineHypercall } from '../../xen/define.ts';
import { setDebug } from '../debug.ts';
import { pvOf } from '../pv-domain.ts';

export const setDebugreg = defineHypercall({
  number: 8,
  name: 'set_debugreg',
  ref: 'xen.h __HYPERVISOR_set_debugreg',
  callers: ['pv64', 'pv32'],
  args: { reg: 'u32', value: 'gva' },
  handle: (call, { reg, value }) => setDebug(pvOf(call), reg, value),
});
