// platform_op: the machine's own affairs.

import { EPERM } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';

export const platformOp = defineHypercall({
  number: 7,
  name: 'platform_op',
  ref: 'platform.h',
  callers: ['pv64', 'pv32'],
  args: { op: 'gva' },
  refuse: [-EPERM, 'only the control domain has the machine'],
});
