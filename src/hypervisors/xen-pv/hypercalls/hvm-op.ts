// hvm_op: what is about guests in hardware containers. Any guest may call it; little of it is for one that is in none.

import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/hvm.ts';
import { type Call, defineHypercall, type SubOperation } from '../../xen/define.ts';
import { isSelf, names, notMine, notThere } from '../../xen/domid.ts';
import { systemTime } from '../../xen/runstate.ts';
import { traceEvent } from '../../xen/trace-call.ts';

const NO_CONTAINER = [-EINVAL, 'no domain here is in a hardware container'] as const;
/** hvm/hvm_op.h keeps the numbers; dm_op and memory_op took over. */
const MOVED = [-ENOSYS, 'other calls do this since Xen 4.5 and 4.9'] as const;

export const hvmOp = defineHypercall({
  number: 34,
  name: 'hvm_op',
  ref: 'hvm/hvm_op.h',
  callers: ['pv64', 'pv32'],
  args: { op: 'u32', arg: 'gva' },
  subOperations: {
    [abi.HVMOP_set_param]: parameter('HVMOP_set_param'),
    [abi.HVMOP_get_param]: parameter('HVMOP_get_param'),
    [abi.HVMOP_set_pci_intx_level]: { name: 'HVMOP_set_pci_intx_level', refuse: MOVED },
    [abi.HVMOP_set_isa_irq_level]: { name: 'HVMOP_set_isa_irq_level', refuse: MOVED },
    [abi.HVMOP_set_pci_link_route]: { name: 'HVMOP_set_pci_link_route', refuse: MOVED },
    [abi.HVMOP_flush_tlbs]: { name: 'HVMOP_flush_tlbs', refuse: NO_CONTAINER },
    [abi.HVMOP_pagetable_dying]: {
      name: 'HVMOP_pagetable_dying',
      first: dyingTable,
      refuse: [-EOPNOTSUPP, 'there are no shadow page tables that could be told'],
    },
    [abi.HVMOP_get_time]: {
      name: 'HVMOP_get_time',
      handle: ({ domain, guest }, at) =>
        guest.write(abi.hvmGetTime, at, { now: systemTime(domain) }) ? 0 : -EFAULT,
    },
    [abi.HVMOP_xentrace]: { name: 'HVMOP_xentrace', handle: traceEvent },
    [abi.HVMOP_set_mem_access]: { name: 'HVMOP_set_mem_access', refuse: MOVED },
    [abi.HVMOP_get_mem_access]: { name: 'HVMOP_get_mem_access', refuse: MOVED },
    [abi.HVMOP_get_mem_type]: {
      name: 'HVMOP_get_mem_type',
      first: names(abi.hvmGetMemType, notMine),
      refuse: NO_CONTAINER,
    },
    [abi.HVMOP_set_evtchn_upcall_vector]: {
      name: 'HVMOP_set_evtchn_upcall_vector',
      refuse: NO_CONTAINER,
    },
    [abi.HVMOP_guest_request_vm_event]: {
      name: 'HVMOP_guest_request_vm_event',
      // Nobody monitors the domain.
      handle: (_call, at) => (at === 0 ? 0 : -EINVAL),
    },
    [abi.HVMOP_altp2m]: {
      name: 'HVMOP_altp2m',
      refuse: [-EOPNOTSUPP, 'altp2m is off, the default'],
    },
  },
});

/** Whose parameters they would be is asked after the number of one. */
function parameter(name: string): SubOperation {
  return {
    name,
    first({ domain, guest }, at) {
      const arg = guest.read(abi.hvmParam, at);
      if (!arg) return -EFAULT;
      return arg.index < abi.HVM_NR_PARAMS ? notThere(domain, arg.domid) : -EINVAL;
    },
    refuse: NO_CONTAINER,
  };
}

/** The control domain's tables are what the refusal is about; a PV guest has none of that kind. */
function dyingTable({ domain, guest }: Call, at: number): number {
  const bytes = guest.bytes(at, abi.HVM_PAGETABLE_DYING_BYTES);
  if (!bytes) return -EFAULT;
  const domid = bytes[0]! | (bytes[1]! << 8);
  return isSelf(domain, domid) ? -EINVAL : notThere(domain, domid);
}
