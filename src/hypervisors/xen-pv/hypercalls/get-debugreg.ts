// get_debugreg: the guest's breakpoints as it has set them.

import { ENODEV } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { getDebug } from '../debug.ts';
import { pvOf } from '../pv-domain.ts';

export const getDebugreg = defineHypercall({
  number: 9,
  name: 'get_debugreg',
  ref: 'xen.h __HYPERVISOR_get_debugreg',
  callers: ['pv64', 'pv32'],
  args: { reg: 'u32' },
  handle: (call, { reg }) => getDebug(pvOf(call), reg) ?? -ENODEV,
});
