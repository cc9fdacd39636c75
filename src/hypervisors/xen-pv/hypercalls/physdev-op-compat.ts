// physdev_op_compat: physdev_op as kernels of before Xen 3.0.3 call it, the command within the structure.

import { EFAULT, ENOSYS } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { perform } from '../../xen/hypercall.ts';
import { commandAndStructure } from '../command-first.ts';

const PHYSDEV_OP = 33;
/** The last that it has (physdev.h, PHYSDEVOP_free_irq_vector). */
const LAST = 11;

export const physdevOpCompat = defineHypercall({
  number: 19,
  name: 'physdev_op_compat',
  ref: 'physdev.h struct physdev_op',
  callers: ['pv64', 'pv32'],
  args: { op: 'gva' },
  handle(call, { op }) {
    // A pointer among the members aligns them.
    const inner = commandAndStructure(call, op, call.wide ? 8 : 4);
    if (!inner) return -EFAULT;
    return inner.command > LAST ? -ENOSYS : perform(inner.frame, PHYSDEV_OP);
  },
});
