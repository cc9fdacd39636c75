// sysctl: the hypervisor's own affairs.

import { XEN_SYSCTL_INTERFACE_VERSION, xenSysctl } from '../abi/control.ts';
import { EACCES, EFAULT, EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const sysctl = defineHypercall({
  number: 35,
  name: 'sysctl',
  ref: 'sysctl.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  first({ guest }, { op }) {
    const arg = guest.read(xenSysctl, op);
    if (!arg) return -EFAULT;
    return arg.interface_version === XEN_SYSCTL_INTERFACE_VERSION ? 0 : -EACCES;
  },
  refuse: [-EPERM, 'only the control domain has the hypervisor'],
});
