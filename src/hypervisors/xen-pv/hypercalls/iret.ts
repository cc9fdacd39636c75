// iret: the return from a handler. It leaves the call instead of answering.

import { defineHypercall, LEFT } from '../../xen/define.ts';
import { HYPERVISOR_iret } from '../abi.ts';
import { iret64 } from '../iret.ts';
import { iret32 } from '../iret32.ts';
import { pvOf } from '../pv-domain.ts';

export const iret = defineHypercall({
  number: HYPERVISOR_iret,
  name: 'iret',
  ref: 'arch-x86/xen-x86_64.h struct iret_context',
  callers: ['pv64', 'pv32'],
  args: {},
  // Only a multicall gets here, and ends with it: others are seen where calls come in.
  handle(call) {
    if (call.wide) iret64(pvOf(call), false);
    else iret32(pvOf(call));
    return LEFT;
  },
});
