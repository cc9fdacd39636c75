// hvm_op: what is about guests in hardware containers. Any guest may call it; little of it is for one that is in none.

import { EFAULT, EINVAL, EOPNOTSUPP } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/hvm.ts';
import { type Call, defineHypercall, type SubOperation } from '../../xen/define.ts';
import { isSelf, names, notMine, notThere } from '../../xen/domid.ts';
import { HVM_OPS_ALIKE } from '../../xen/hvm-ops.ts';

const NO_CONTAINER = [-EINVAL, 'no domain here is in a hardware container'] as const;

export const hvmOp = defineHypercall({
  number: 34,
  name: 'hvm_op',
  ref: 'hvm/hvm_op.h',
  callers: ['pv64', 'pv32'],
  args: { op: 'u32', arg: 'gva' },
  subOperations: {
    ...HVM_OPS_ALIKE,
    [abi.HVMOP_set_param]: parameter('HVMOP_set_param'),
    [abi.HVMOP_get_param]: parameter('HVMOP_get_param'),
    [abi.HVMOP_flush_tlbs]: { name: 'HVMOP_flush_tlbs', refuse: NO_CONTAINER },
    [abi.HVMOP_pagetable_dying]: {
      name: 'HVMOP_pagetable_dying',
      first: dyingTable,
      refuse: [-EOPNOTSUPP, 'there are no shadow page tables that could be told'],
    },
    [abi.HVMOP_get_mem_type]: {
      name: 'HVMOP_get_mem_type',
      first: names(abi.hvmGetMemType, notMine),
      refuse: NO_CONTAINER,
    },
    [abi.HVMOP_set_evtchn_upcall_vector]: {
      name: 'HVMOP_set_evtchn_upcall_vector',
      refuse: NO_CONTAINER,
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
