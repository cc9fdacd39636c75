// hypfs_op: the hypervisor's file system.

import { EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const hypfsOp = defineHypercall({
  number: 42,
  name: 'hypfs_op',
  ref: 'hypfs.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { cmd: 'u32' },
  refuse: [-EPERM, 'only the control domain has the hypervisor'],
});
