// hvm_op: the parameters by which guest and toolstack agree on rings, ports and the way of an upcall.

import { EFAULT, EINVAL, ENOENT, EOPNOTSUPP } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/hvm.ts';
import { type Call, defineHypercall } from '../../xen/define.ts';
import { vcpuOf } from '../../xen/domain.ts';
import { notMine } from '../../xen/domid.ts';
import { HVM_OPS_ALIKE } from '../../xen/hvm-ops.ts';
import { upcallPending } from '../../xen/upcall.ts';
import { getParam, setParam } from '../parameters.ts';
import type { PvhDomain } from '../physmap.ts';

/** Vectors below are exceptions. */
const FIRST_VECTOR = 16;

export const hvmOp = defineHypercall({
  number: 34,
  name: 'hvm_op',
  ref: 'hvm/hvm_op.h',
  callers: ['hvm'],
  args: { op: 'u32', arg: 'gva' },
  subOperations: {
    ...HVM_OPS_ALIKE,
    [abi.HVMOP_set_param]: { name: 'HVMOP_set_param', handle: setParam },
    [abi.HVMOP_get_param]: { name: 'HVMOP_get_param', handle: getParam },
    [abi.HVMOP_flush_tlbs]: {
      name: 'HVMOP_flush_tlbs',
      handle: ({ domain }, arg) => {
        if (arg !== 0) return -EINVAL;
        domain.platform.cpu.mmu.flushAll();
        return 0;
      },
    },
    [abi.HVMOP_pagetable_dying]: {
      name: 'HVMOP_pagetable_dying',
      first: ({ guest }, at) => (guest.bytes(at, abi.HVM_PAGETABLE_DYING_BYTES) ? 0 : -EFAULT),
      refuse: [-EOPNOTSUPP, 'there are no shadow page tables that could be told'],
    },
    [abi.HVMOP_get_mem_type]: { name: 'HVMOP_get_mem_type', handle: memType },
    [abi.HVMOP_set_evtchn_upcall_vector]: {
      name: 'HVMOP_set_evtchn_upcall_vector',
      handle: setUpcallVector,
    },
  },
});

function setUpcallVector({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.hvmEvtchnUpcallVector, at);
  if (!arg) return -EFAULT;
  const vcpu = vcpuOf(domain, arg.vcpu);
  if (arg.vector < FIRST_VECTOR) return -EINVAL;
  if (!vcpu) return -ENOENT;
  vcpu.state.upcallVector = arg.vector;
  if (upcallPending(domain, vcpu)) domain.guest.upcall(vcpu);
  return 0;
}

function memType({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.hvmGetMemType, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.domid);
  if (error) return error;
  const there = (domain as PvhDomain).physmap.addressOf(arg.pfn) >= 0;
  const mem_type = there ? abi.HVMMEM_ram_rw : abi.HVMMEM_mmio_dm;
  return guest.write(abi.hvmGetMemType, at, { mem_type }) ? 0 : -EFAULT;
}
