// Sub-operations of hvm_op that answer alike whether the guest is in a hardware container or not.

import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP } from './abi/errno.ts';
import * as abi from './abi/hvm.ts';
import type { Call, SubOperations } from './define.ts';
import { systemTime } from './runstate.ts';

/** hvm/hvm_op.h keeps the numbers; dm_op and memory_op took over. */
const MOVED = [-ENOSYS, 'other calls do this since Xen 4.5 and 4.9'] as const;

export const HVM_OPS_ALIKE: SubOperations = {
  [abi.HVMOP_set_pci_intx_level]: { name: 'HVMOP_set_pci_intx_level', refuse: MOVED },
  [abi.HVMOP_set_isa_irq_level]: { name: 'HVMOP_set_isa_irq_level', refuse: MOVED },
  [abi.HVMOP_set_pci_link_route]: { name: 'HVMOP_set_pci_link_route', refuse: MOVED },
  [abi.HVMOP_get_time]: {
    name: 'HVMOP_get_time',
    handle: ({ domain, guest }, at) =>
      guest.write(abi.hvmGetTime, at, { now: systemTime(domain) }) ? 0 : -EFAULT,
  },
  [abi.HVMOP_xentrace]: { name: 'HVMOP_xentrace', handle: traceEvent },
  [abi.HVMOP_set_mem_access]: { name: 'HVMOP_set_mem_access', refuse: MOVED },
  [abi.HVMOP_get_mem_access]: { name: 'HVMOP_get_mem_access', refuse: MOVED },
  [abi.HVMOP_guest_request_vm_event]: {
    name: 'HVMOP_guest_request_vm_event',
    // Nobody monitors the domain.
    handle: (_call, at) => (at === 0 ? 0 : -EINVAL),
  },
  [abi.HVMOP_altp2m]: {
    name: 'HVMOP_altp2m',
    refuse: [-EOPNOTSUPP, 'altp2m is off, the default'],
  },
};

/** Xen traces nothing unless the control domain asks, which does not happen. */
function traceEvent({ guest }: Call, at: number): number {
  const bytes = guest.bytes(at, 4 + abi.XENTRACE_EXTRA_BYTES);
  if (!bytes) return -EFAULT;
  const [event0 = 0, event1 = 0, extra0 = 0, extra1 = 0] = bytes;
  const [event, extra] = [event0 | (event1 << 8), extra0 | (extra1 << 8)];
  return extra > abi.XENTRACE_EXTRA_BYTES || event >= abi.XENTRACE_EVENTS ? -EINVAL : 0;
}
