// mmuext_op: page tables that Xen keeps count of, which only PV guests have.

import { EINVAL, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import { DOMID_SELF } from '../../xen/abi/xen.ts';
import { defineHypercall } from '../../xen/define.ts';

export const mmuextOp = defineHypercall({
  number: 26,
  name: 'mmuext_op',
  ref: 'xen.h struct mmuext_op',
  callers: ['hvm'],
  args: { uops: 'gva', count: 'u32', pdone: 'gva', foreigndom: 'u32' },
  first({ domain }, { foreigndom }) {
    if (foreigndom === DOMID_SELF || foreigndom === domain.id) return 0;
    return foreigndom === 0 || foreigndom > DOMID_SELF ? -EPERM : -ESRCH;
  },
  refuse: [-EINVAL, 'the domain has its page tables to itself'],
});
