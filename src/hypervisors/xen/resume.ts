// What a suspended domain loses: it goes on as a new one, with its memory and its registers (xl save, xl restore).

import { freshVcpu, type XenDomain } from './domain.ts';
import { closeAllPorts } from './events.ts';
import { forgetMaps } from './grant-maps.ts';
import { freshGrants } from './grant-state.ts';
import { systemTime } from './runstate.ts';
import { writeTime, writeWallClock } from './time.ts';
import type { Toolstack } from './toolstack.ts';

const VCPU_INFO_BYTES = 64;

/** Ports, grants, places of shared structures, and timers are gone; the guest sets them up again, as at its first start. */
export function forgetDomain(domain: XenDomain, toolstack: Toolstack): void {
  const { state, vcpus, guest, watchdogs } = domain;
  toolstack.end();
  closeAllPorts(domain);
  for (const frame of [...state.grants.frames, ...state.grants.statusFrames]) guest.reclaim(frame);
  for (const { frame } of state.grants.pins) guest.releaseFrame(frame);
  forgetMaps(domain);
  Object.assign(state.grants, freshGrants());
  for (const timer of watchdogs) timer.cancel();
  state.watchdogs.fill(false);
  for (const vcpu of vcpus) {
    for (const timer of [vcpu.singleshot, vcpu.periodic, vcpu.pollEnd]) timer.cancel();
    const { up, initialised, info } = vcpu.state;
    Object.assign(vcpu.state, freshVcpu(), { up, initialised, info });
    vcpu.state.runstate.since = systemTime(domain);
  }
}

/** The frame at that RAM address is the shared_info from now on, and holds the vCPUs' vcpu_info. */
export function placeSharedInfo(domain: XenDomain, address: number): void {
  const { state, vcpus } = domain;
  state.sharedInfo = address;
  for (const vcpu of vcpus) {
    vcpu.state.info = address + vcpu.id * VCPU_INFO_BYTES;
    writeTime(domain, vcpu);
  }
  writeWallClock(domain);
}
