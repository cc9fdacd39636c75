// A domain's time: the per-vCPU time area, the wall clock at its zero, runstates, and the timers behind VIRQ_TIMER.

import type { StructPatch } from '../../base/struct.ts';
import type { Narrow } from './abi/layout.ts';
import {
  sharedInfo,
  TSC_SHIFT,
  TSC_TO_SYSTEM_MUL,
  VIRQ_TIMER,
  vcpuInfo,
  vcpuTimeInfo,
} from './abi/xen.ts';
import type { XenDomain, XenVcpu } from './domain.ts';
import { raiseVirq } from './events.ts';
import { systemTime } from './runstate.ts';

const TIME_AT = vcpuInfo.wide.offsetOf('time'); // The same in both word sizes.
/** Xen refuses periods below a millisecond (common/domain.c). */
export const PERIOD_MIN_NANOS = 1_000_000;

/** The vCPU cannot look while this runs, so the version is even before and after. */
export function writeTime(domain: XenDomain, vcpu: XenVcpu): void {
  const { ram } = domain.platform;
  const bytes = ram.read(vcpu.state.info + TIME_AT, vcpuTimeInfo.wide.size);
  if (!bytes) return;
  const view = new DataView(bytes.buffer);
  vcpuTimeInfo.wide.write(view, 0, timeNow(domain, view.getUint32(0, true)));
  ram.write(vcpu.state.info + TIME_AT, bytes);
  if (vcpu.state.timeArea === 0) return;
  domain.guest.writeVirtual(vcpu.state.timeArea, bytes);
}

function timeNow(
  domain: XenDomain,
  oldVersion: number,
): StructPatch<Narrow<(typeof vcpuTimeInfo)['wide']['fields']>> {
  const tsc = domain.platform.cpu.cx.tsc();
  return {
    version: (oldVersion + (oldVersion & 1) + 2) >>> 0,
    tsc_timestamp: { lo: Number(tsc & 0xffff_ffffn), hi: Number(tsc >> 32n) },
    system_time: systemTime(domain),
    tsc_to_system_mul: TSC_TO_SYSTEM_MUL,
    tsc_shift: TSC_SHIFT,
    flags: 0,
  };
}

/** Wall time when the system time was 0. */
export function writeWallClock({ platform, state }: XenDomain): void {
  const layout = state.wideShared ? sharedInfo.wide : sharedInfo.narrow;
  const at = state.sharedInfo + layout.offsetOf('wc_version');
  const old = platform.ram.u32(at);
  if (old < 0) return;
  platform.ram.setU32(at + 4, platform.epochSeconds >>> 0);
  platform.ram.setU32(at + 8, 0);
  platform.ram.setU32(at, (old + (old & 1) + 2) >>> 0);
}

/** Fires at `deadline`, at once if that is over. */
export function setSingleshot(domain: XenDomain, vcpu: XenVcpu, deadline: number): void {
  if (deadline <= systemTime(domain)) {
    vcpu.singleshot.cancel();
    timerFired(domain, vcpu);
    return;
  }
  vcpu.singleshot.set(deadline);
}

export function setPeriod(domain: XenDomain, vcpu: XenVcpu, period: number): void {
  vcpu.state.period = period;
  if (period === 0) vcpu.periodic.cancel();
  else vcpu.periodic.set(systemTime(domain) + period);
}

export function timerFired(domain: XenDomain, vcpu: XenVcpu): void {
  writeTime(domain, vcpu);
  raiseVirq(domain, vcpu, VIRQ_TIMER);
}

export function periodFired(domain: XenDomain, vcpu: XenVcpu): void {
  timerFired(domain, vcpu);
  setPeriod(domain, vcpu, vcpu.state.period);
}
