// iret: the return from a handler. It leaves the call instead of answering, so its work is done where calls come in.

import { ENOSYS } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { HYPERVISOR_iret } from '../abi.ts';

export const iret = defineHypercall({
  number: HYPERVISOR_iret,
  name: 'iret',
  ref: 'arch-x86/xen-x86_64.h struct iret_context',
  callers: ['pv64', 'pv32'],
  args: {},
  // Only a multicall gets here, and from there it is refused.
  handle: () => -ENOSYS,
});
