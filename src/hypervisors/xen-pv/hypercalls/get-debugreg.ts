// get_debugreg: the guest's breakpoints as it has set them.

import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

export const getDebugreg = defineHypercall({
  number: 9,
  name: 'get_debugreg',
  ref: 'xen.h __HYPERVISOR_get_debugreg',
  callers: ['pv64', 'pv32'],
  args: { reg: 'u32' },
  handle(call, { reg }) {
    const n = reg === 4 ? 6 : reg === 5 ? 7 : reg;
    return n < 8 ? currentVcpu(pvOf(call)).debug[n]! : -EINVAL;
  },
});
