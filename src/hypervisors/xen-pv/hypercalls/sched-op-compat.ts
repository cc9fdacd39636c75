// sched_op_compat: sched_op as kernels of before Xen 3.0.2 call it, with the reason of a shutdown for its argument.

import { SCHEDOP_block, SCHEDOP_shutdown, SCHEDOP_yield } from '../../xen/abi/sched.ts';
import { defineHypercall } from '../../xen/define.ts';
import { perform } from '../../xen/hypercall.ts';
import { shutDown } from '../../xen/shutdown.ts';

const SCHED_OP = 29;

export const schedOpCompat = defineHypercall({
  number: 6,
  name: 'sched_op_compat',
  ref: 'sched.h SCHEDOP_yield',
  callers: ['pv64', 'pv32'],
  args: { cmd: 's32', arg: 'ulong' },
  subOperations: {
    [SCHEDOP_yield]: { name: 'SCHEDOP_yield', handle: ({ frame }) => perform(frame, SCHED_OP) },
    [SCHEDOP_block]: { name: 'SCHEDOP_block', handle: ({ frame }) => perform(frame, SCHED_OP) },
    [SCHEDOP_shutdown]: {
      name: 'SCHEDOP_shutdown',
      handle: ({ domain }, reason) => shutDown(domain, reason & 0xff, 0),
    },
  },
});
