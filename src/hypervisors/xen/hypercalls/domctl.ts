// domctl: the affairs of domains.

import { XEN_DOMCTL_INTERFACE_VERSION, xenDomctl } from '../abi/control.ts';
import { EACCES, EFAULT, EPERM, ESRCH } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';
import { isNumbered } from '../domid.ts';

export const domctl = defineHypercall({
  number: 36,
  name: 'domctl',
  ref: 'domctl.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  first({ domain, guest }, { op }) {
    const arg = guest.read(xenDomctl, op);
    if (!arg) return -EFAULT;
    if (arg.interface_version !== XEN_DOMCTL_INTERFACE_VERSION) return -EACCES;
    return isNumbered(domain, arg.domain) ? 0 : -ESRCH;
  },
  refuse: [-EPERM, 'only the control domain has domains'],
});
