// A domain's time: the per-vCPU time area, the wall clock at its zero, runstates, and the timers behind VIRQ_TIMER.

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

/** A time area as it is written each time a timer fires: what never changes stands in it. */
const area = new Uint8Array(vcpuTimeInfo.wide.size);
const areaView = new DataView(area.buffer);
vcpuTimeInfo.wide.write(areaView, 0, {
  tsc_to_system_mul: TSC_TO_SYSTEM_MUL,
  tsc_shift: TSC_SHIFT,
});
const [VERSION, TSC, SYSTEM] = (['version', 'tsc_timestamp', 'system_time'] as const).map((name) =>
  vcpuTimeInfo.wide.offsetOf(name),
) as [number, number, number];

/** The vCPU cannot look while this runs, so the version is even before and after. */
export function writeTime(domain: XenDomain, vcpu: XenVcpu): void {
  const { ram, cpu } = domain.platform;
  const at = vcpu.state.info + TIME_AT;
  const old = ram.u32(at + VERSION);
  if (old < 0) return;
  areaView.setUint32(VERSION, old + (old & 1) + 2, true);
  areaView.setBigUint64(TSC, cpu.cx.tsc(), true);
  areaView.setBigUint64(SYSTEM, BigInt(systemTime(domain)), true);
  ram.write(at, area);
  if (vcpu.state.timeArea !== 0) domain.guest.writeVirtual(vcpu.state.timeArea, area);
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
