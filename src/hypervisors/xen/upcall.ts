// How a vCPU learns of events: the one bit in its vcpu_info, and the end of its waiting in a call.

import { RUNSTATE_blocked, RUNSTATE_running } from './abi/vcpu.ts';
import { vcpuInfo } from './abi/xen.ts';
import type { XenDomain, XenVcpu } from './domain.ts';
import { enterRunstate } from './runstate.ts';

const UPCALL_PENDING = vcpuInfo.wide.offsetOf('evtchn_upcall_pending');

/** `evtchn_upcall_pending` becomes 1, and if it was not, the vCPU is told. */
export function markPending(domain: XenDomain, vcpu: XenVcpu): void {
  const at = vcpu.state.info + UPCALL_PENDING;
  if (domain.platform.ram.u8(at) !== 0) return;
  domain.platform.ram.setU8(at, 1);
  domain.guest.upcall(vcpu);
  wakeUp(domain, vcpu);
}

export function upcallPending({ platform }: XenDomain, vcpu: XenVcpu): boolean {
  return platform.ram.u8(vcpu.state.info) > 0;
}

/** The running call returns, and its vCPU runs no further until an event comes, or one of `polls` is pending. */
export function fallAsleep(domain: XenDomain, vcpu: XenVcpu, polls: readonly number[]): void {
  vcpu.state.blocked = true;
  vcpu.state.polls = [...polls];
  enterRunstate(domain, vcpu, RUNSTATE_blocked);
  domain.guest.block(vcpu);
}

export function wakeUp(domain: XenDomain, vcpu: XenVcpu): void {
  if (!vcpu.state.blocked) return;
  vcpu.state.blocked = false;
  vcpu.state.polls = [];
  vcpu.pollEnd.cancel();
  enterRunstate(domain, vcpu, RUNSTATE_running);
  domain.guest.wake(vcpu);
}
