// xenpmu_op: performance counters.

import { EOPNOTSUPP } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const xenpmuOp = defineHypercall({
  number: 40,
  name: 'xenpmu_op',
  ref: 'pmu.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { op: 'u32', arg: 'gva' },
  refuse: [-EOPNOTSUPP, 'Xen was started without vpmu, as it is unless told otherwise'],
});
