// paging_domctl_cont: a domctl on a domain's page tables that goes on, of which none is under way.

import { XEN_DOMCTL_INTERFACE_VERSION, XEN_DOMCTL_shadow_op, xenDomctl } from '../abi/control.ts';
import { EFAULT, EOPNOTSUPP, EPERM, ESRCH } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';
import { isNumbered } from '../domid.ts';

export const pagingDomctlCont = defineHypercall({
  number: 49,
  name: 'paging_domctl_cont',
  ref: 'arch-x86/xen.h __HYPERVISOR_arch_1',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  first({ domain, guest }, { op }) {
    const arg = guest.read(xenDomctl, op);
    if (!arg) return -EFAULT;
    const known = arg.interface_version === XEN_DOMCTL_INTERFACE_VERSION;
    if (!known || arg.cmd !== XEN_DOMCTL_shadow_op) return -EOPNOTSUPP;
    return isNumbered(domain, arg.domain) ? 0 : -ESRCH;
  },
  refuse: [-EPERM, 'only the control domain has domains'],
});
