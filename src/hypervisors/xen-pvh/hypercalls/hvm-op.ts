// hvm_op: the parameters by which guest and toolstack agree on rings, ports and the way of an upcall.

import { EEXIST, EFAULT, EINVAL, ENOENT, EOPNOTSUPP, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/hvm.ts';
import { DOMID_CONTROL, DOMID_SELF } from '../../xen/abi/xen.ts';
import { type Call, defineHypercall } from '../../xen/define.ts';
import { vcpuOf, type XenDomain } from '../../xen/domain.ts';
import { systemTime } from '../../xen/runstate.ts';
import { upcallPending } from '../../xen/upcall.ts';
import type { PvhDomain } from '../physmap.ts';
import { latchWordSize } from '../word-size.ts';

/** xsm/dummy.h and hvm.c of Xen, hvm_allow_set_param and hvm_allow_get_param: what a guest may do with parameters of its own. */
const MAY_SET: ReadonlySet<number> = new Set([
  abi.HVM_PARAM_CALLBACK_IRQ,
  abi.HVM_PARAM_VM86_TSS,
  abi.HVM_PARAM_VM86_TSS_SIZED,
  abi.HVM_PARAM_ACPI_S_STATE,
  abi.HVM_PARAM_VM_GENERATION_ID_ADDR,
  abi.HVM_PARAM_STORE_EVTCHN,
  abi.HVM_PARAM_CONSOLE_EVTCHN,
]);
/** The toolstack has set these, and they are not to be set twice. */
const SET_ONCE: ReadonlySet<number> = new Set([
  abi.HVM_PARAM_STORE_EVTCHN,
  abi.HVM_PARAM_CONSOLE_EVTCHN,
]);
const MAY_GET: ReadonlySet<number> = new Set([
  abi.HVM_PARAM_CALLBACK_IRQ,
  abi.HVM_PARAM_VM86_TSS,
  abi.HVM_PARAM_VM86_TSS_SIZED,
  abi.HVM_PARAM_ACPI_S_STATE,
  abi.HVM_PARAM_VM_GENERATION_ID_ADDR,
  abi.HVM_PARAM_STORE_PFN,
  abi.HVM_PARAM_STORE_EVTCHN,
  abi.HVM_PARAM_CONSOLE_PFN,
  abi.HVM_PARAM_CONSOLE_EVTCHN,
]);
/** Vectors below are exceptions. */
const FIRST_VECTOR = 16;
const CALLBACK_TYPE_SHIFT = 24; // Of the high half.

export const hvmOp = defineHypercall({
  number: 34,
  name: 'hvm_op',
  ref: 'hvm/hvm_op.h',
  callers: ['hvm'],
  args: { op: 'u32', arg: 'gva' },
  subOperations: {
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
      refuse: [-EOPNOTSUPP, 'there are no shadow page tables that could be told'],
    },
    [abi.HVMOP_get_time]: {
      name: 'HVMOP_get_time',
      handle: ({ domain, guest }, at) =>
        guest.write(abi.hvmGetTime, at, { now: systemTime(domain) }) ? 0 : -EFAULT,
    },
    [abi.HVMOP_xentrace]: {
      name: 'HVMOP_xentrace',
      notModelled: "there is no trace buffer of Xen's format",
    },
    [abi.HVMOP_get_mem_type]: { name: 'HVMOP_get_mem_type', handle: memType },
    [abi.HVMOP_set_evtchn_upcall_vector]: {
      name: 'HVMOP_set_evtchn_upcall_vector',
      handle: setUpcallVector,
    },
    [abi.HVMOP_guest_request_vm_event]: {
      name: 'HVMOP_guest_request_vm_event',
      refuse: [-EOPNOTSUPP, 'nobody monitors the domain'],
    },
    [abi.HVMOP_altp2m]: {
      name: 'HVMOP_altp2m',
      refuse: [-EOPNOTSUPP, 'the domain has one physical memory map (altp2m is off, the default)'],
    },
  },
});

/** A domain may only speak of itself. */
function notMine(domain: XenDomain, domid: number): number {
  if (domid === DOMID_SELF || domid === domain.id) return 0;
  return domid === DOMID_CONTROL ? -EPERM : -ESRCH;
}

function setParam(call: Call, at: number): number {
  const { domain, guest } = call;
  const arg = guest.read(abi.hvmParam, at);
  if (!arg) return -EFAULT;
  if (arg.index >= abi.HVM_NR_PARAMS) return -EINVAL;
  const error = notMine(domain, arg.domid);
  if (error) return error;
  if (!MAY_SET.has(arg.index)) return -EPERM;
  const { lo, hi } = arg.value;
  const old = domain.state.params[arg.index]!;
  const fresh = old.lo === 0 && old.hi === 0;
  const same = old.lo === lo && old.hi === hi;
  if (SET_ONCE.has(arg.index) && !fresh && !same) return -EEXIST;
  // Awake, or asleep in S3 (ACPI).
  if (arg.index === abi.HVM_PARAM_ACPI_S_STATE && (hi !== 0 || (lo !== 0 && lo !== 3)))
    return -EINVAL;
  old.lo = lo;
  old.hi = hi;
  if (arg.index === abi.HVM_PARAM_CALLBACK_IRQ) setCallback(call);
  return 0;
}

/** From now on events come this way; one that waits comes at once. The word size of shared_info is the caller's. */
function setCallback({ domain, vcpu, wide }: Call): void {
  latchWordSize(domain, wide);
  if (upcallPending(domain, vcpu)) domain.guest.upcall(vcpu);
}

/** The vector of HVM_PARAM_CALLBACK_IRQ, -1 if events are announced otherwise. */
export function callbackVector({ state }: XenDomain): number {
  const { lo, hi } = state.params[abi.HVM_PARAM_CALLBACK_IRQ]!;
  const vector = lo & 0xff;
  const byVector = hi >>> CALLBACK_TYPE_SHIFT === abi.HVM_PARAM_CALLBACK_TYPE_VECTOR;
  return byVector && vector >= FIRST_VECTOR ? vector : -1;
}

function getParam({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.hvmParam, at);
  if (!arg) return -EFAULT;
  if (arg.index >= abi.HVM_NR_PARAMS) return -EINVAL;
  const error = notMine(domain, arg.domid);
  if (error) return error;
  if (!MAY_GET.has(arg.index)) return -EPERM;
  const value = { ...domain.state.params[arg.index]! };
  return guest.write(abi.hvmParam, at, { value }) ? 0 : -EFAULT;
}

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
