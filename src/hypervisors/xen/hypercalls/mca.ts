// mca: machine checks.

import { EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

export const mca = defineHypercall({
  number: 48,
  name: 'mca',
  ref: 'arch-x86/xen-mca.h',
  callers: ['pv64', 'pv32'],
  args: { mca: 'gva' },
  refuse: [-EPERM, 'only the control domain has the machine'],
});
