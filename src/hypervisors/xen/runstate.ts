// System time, and how much of it a vCPU has spent running and waiting.

import { vcpuRunstateInfo } from './abi/vcpu.ts';
import type { XenDomain, XenVcpu } from './domain.ts';
import { GuestView } from './guest-view.ts';

/** System time: nanoseconds since the domain was started. */
export function systemTime({ platform }: XenDomain): number {
  return platform.clock.now();
}

/** The vCPU's runstate changes; the time in the old one is added up. */
export function enterRunstate(domain: XenDomain, vcpu: XenVcpu, next: number): void {
  const { runstate } = vcpu.state;
  const now = systemTime(domain);
  runstate.time[runstate.state]! += now - runstate.since;
  runstate.since = now;
  runstate.state = next;
  writeRunstate(domain, vcpu);
}

export function writeRunstate(domain: XenDomain, vcpu: XenVcpu): void {
  const { runstateArea, runstate } = vcpu.state;
  if (runstateArea === 0) return;
  const view = new GuestView(domain.guest, domain.state.wideShared);
  view.write(vcpuRunstateInfo, runstateArea, {
    state: runstate.state,
    state_entry_time: runstate.since,
    time: runstate.time,
  });
}
