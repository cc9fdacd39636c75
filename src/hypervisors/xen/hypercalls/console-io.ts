// console_io: the hypervisor's own console, which is not for guests.

import { EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

/** Xen lets guests write to it only when it was built for debugging (xsm/dummy.h, xsm_console_io); Debian's was not. */
export const consoleIo = defineHypercall({
  number: 18,
  name: 'console_io',
  ref: 'xen.h CONSOLEIO_write',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { cmd: 's32', count: 's32', buffer: 'gva' },
  refuse: [-EPERM, 'only the control domain has the console of the hypervisor'],
});
