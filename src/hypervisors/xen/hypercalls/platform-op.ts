// platform_op: the machine's own affairs.

import { XENPF_INTERFACE_VERSION, xenPlatformOp } from '../abi/control.ts';
import { EACCES, EFAULT, EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const platformOp = defineHypercall({
  number: 7,
  name: 'platform_op',
  ref: 'platform.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  first({ guest }, { op }) {
    const arg = guest.read(xenPlatformOp, op);
    if (!arg) return -EFAULT;
    return arg.interface_version === XENPF_INTERFACE_VERSION ? 0 : -EACCES;
  },
  refuse: [-EPERM, 'only the control domain has the machine'],
});
