// xsm_op: what a security module is told.

import { ENOSYS } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const xsmOp = defineHypercall({
  number: 27,
  name: 'xsm_op',
  ref: 'xsm/flask_op.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'gva' },
  refuse: [-ENOSYS, 'this Xen has no security module that answers calls'],
});
