// nmi_op: the older way to register a callback for NMIs.

import { EINVAL, ENOSYS } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';

export const nmiOp = defineHypercall({
  number: 28,
  name: 'nmi_op',
  ref: 'nmi.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 'u32', arg: 'gva' },
  subOperations: {
    0: { name: 'XENNMI_register_callback', refuse: [-EINVAL, 'only the first domain has NMIs'] },
    1: { name: 'XENNMI_unregister_callback', notModelled: 'there is nothing to unregister' },
  },
  unknown: -ENOSYS,
});
