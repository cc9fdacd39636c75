// tmem_op: pages outside any domain, which Xen no longer has.

import { ENOSYS } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const tmemOp = defineHypercall({
  number: 38,
  name: 'tmem_op',
  ref: 'tmem.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  refuse: [-ENOSYS, 'Xen 4.13 and later have no transcendent memory'],
});
