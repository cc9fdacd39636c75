// nmi_op: the older way to register a callback for NMIs.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { EFAULT, EINVAL } from '../../xen/abi/errno.ts';
import { xenStruct } from '../../xen/abi/layout.ts';
import { defineHypercall } from '../../xen/define.ts';
import { forgetNmi, registerNmi } from '../nmi.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

const xennmiCallback = xenStruct(
  'struct xennmi_callback',
  { handler_address: 'handle', pad: 'handle' },
  { header: 'nmi.h', size: [16, 8] },
);

export const nmiOp = defineHypercall({
  number: 28,
  name: 'nmi_op',
  ref: 'nmi.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 'u32', arg: 'gva' },
  subOperations: {
    0: {
      name: 'XENNMI_register_callback',
      handle(call, at) {
        const arg = call.guest.read(xennmiCallback, at);
        if (!arg) return -EFAULT;
        if (call.wide && !isCanonical(arg.handler_address)) return -EINVAL;
        registerNmi(currentVcpu(pvOf(call)), arg.handler_address, call.wide);
        return 0;
      },
    },
    1: {
      name: 'XENNMI_unregister_callback',
      handle(call) {
        forgetNmi(currentVcpu(pvOf(call)));
        return 0;
      },
    },
  },
});
