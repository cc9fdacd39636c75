// physdev_op: interrupts of devices, which a PVH guest has none of.

import { ENOSYS } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';

export const physdevOp = defineHypercall({
  number: 33,
  name: 'physdev_op',
  ref: 'physdev.h',
  callers: ['hvm'],
  args: { cmd: 's32', arg: 'gva' },
  refuse: [-ENOSYS, 'the domain has no physical interrupts (XEN_X86_USE_PIRQ)'],
});
