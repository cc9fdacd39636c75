// event_channel_op_compat: event_channel_op as kernels of before Xen 3.0.3 call it, the command within the structure.

import { EFAULT, ENOSYS } from '../../xen/abi/errno.ts';
import { EVTCHNOP_unmask } from '../../xen/abi/event-channel.ts';
import { defineHypercall } from '../../xen/define.ts';
import { perform } from '../../xen/hypercall.ts';
import { commandAndStructure } from '../command-first.ts';

const EVENT_CHANNEL_OP = 32;

export const eventChannelOpCompat = defineHypercall({
  number: 16,
  name: 'event_channel_op_compat',
  ref: 'event_channel.h struct evtchn_op',
  callers: ['pv64', 'pv32'],
  args: { op: 'gva' },
  handle(call, { op }) {
    const inner = commandAndStructure(call, op, 4);
    if (!inner) return -EFAULT;
    // What came later has no place in this form.
    if (inner.command > EVTCHNOP_unmask) return -ENOSYS;
    return perform(inner.frame, EVENT_CHANNEL_OP);
  },
});
