// argo_op: messages between domains.

import { ENOSYS } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const argoOp = defineHypercall({
  number: 39,
  name: 'argo_op',
  ref: 'argo.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { cmd: 'u32', arg1: 'gva', arg2: 'gva', arg3: 'ulong', arg4: 'ulong' },
  refuse: [-ENOSYS, 'Xen has it only in builds that ask for it (CONFIG_ARGO)'],
});
