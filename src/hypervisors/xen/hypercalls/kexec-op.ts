// kexec_op: another hypervisor in place of this one.

import { EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const kexecOp = defineHypercall({
  number: 37,
  name: 'kexec_op',
  ref: 'kexec.h',
  callers: ['pv64', 'pv32'],
  args: { op: 'u32', arg: 'gva' },
  refuse: [-EPERM, 'only the control domain has the hypervisor'],
});
