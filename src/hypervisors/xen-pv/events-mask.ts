// The event mask of the vCPU that runs, which stands for IF: in vcpu_info, and in the flags that a guest is told.

import { EFLAGS_IF, EFLAGS_IOPL, EFLAGS_IOPL_SHIFT } from '../../cpu/control-bits.ts';
import { VMASST_TYPE_architectural_iopl } from './abi.ts';
import { currentVcpu, type PvDomain } from './pv-domain.ts';

const TELLS_IOPL = 1 << VMASST_TYPE_architectural_iopl;
const IF = EFLAGS_IF;
const NOT_TOLD = EFLAGS_IF | EFLAGS_IOPL;

/** The vcpu_info of the vCPU that runs, in the CPU's linear memory: it is read at every call and event. */
const infoAt = (pv: PvDomain): number => pv.ramBase + pv.xen.vcpus[pv.current]!.state.info;

/** `evtchn_upcall_mask` of the vCPU that runs. */
export function eventsMasked(pv: PvDomain): boolean {
  return pv.bytes[infoAt(pv) + 1] !== 0;
}

export function maskEvents(pv: PvDomain, masked: boolean): void {
  pv.platform.ram.setU8(pv.xen.vcpus[pv.current]!.state.info + 1, masked ? 1 : 0);
}

/** One is pending, and upcalls are not masked: `evtchn_upcall_pending` stands before the mask (xen.h, vcpu_info). */
export function eventWaits(pv: PvDomain): boolean {
  const at = infoAt(pv);
  return pv.bytes[at] !== 0 && pv.bytes[at + 1] === 0;
}

/** IF is the opposite of the event mask, IOPL what the guest was given to believe. */
export function guestFlags(pv: PvDomain, flags: number, masked: boolean): number {
  let told = flags & ~NOT_TOLD;
  if (!masked) told |= IF;
  if (pv.state.assists & TELLS_IOPL) told |= currentVcpu(pv).iopl << EFLAGS_IOPL_SHIFT;
  return told;
}
