// KVM's paravirtual MSRs: each with the feature bit that offers it, and what a write of it does.

import {
  KVM_FEATURE_CLOCKSOURCE,
  KVM_FEATURE_CLOCKSOURCE2,
  KVM_FEATURE_POLL_CONTROL,
  KVM_FEATURE_PV_EOI,
  KVM_FEATURE_STEAL_TIME,
  KVM_MSR_ENABLED,
  KVM_STEAL_RESERVED_MASK,
  MSR_KVM_POLL_CONTROL,
  MSR_KVM_PV_EOI_EN,
  MSR_KVM_STEAL_TIME,
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from './abi.ts';
import { writeTimeInfo, writeWallClock } from './clock.ts';
import { KVM_MSR_NAMES } from './entry-names.ts';
import { writeStealTime } from './steal-time.ts';
import type { KvmState, KvmVcpu } from './vcpu.ts';

interface KvmMsr {
  readonly feature: number;
  read(state: KvmState): readonly number[];
  /** False: a value that it does not take, #GP(0). */
  write(vcpu: KvmVcpu, lo: number, hi: number): boolean;
}

const wallClock = (feature: number): KvmMsr => ({
  feature,
  read: (state) => state.wallClock,
  write(vcpu, lo, hi) {
    vcpu.state.wallClock = [lo, hi];
    writeWallClock(vcpu, lo, hi);
    return true;
  },
});

const systemTime = (feature: number): KvmMsr => ({
  feature,
  read: (state) => state.systemTime,
  write(vcpu, lo, hi) {
    vcpu.state.systemTime = [lo, hi];
    if (lo & KVM_MSR_ENABLED) writeTimeInfo(vcpu, lo, hi);
    return true;
  },
});

const stealTime: KvmMsr = {
  feature: KVM_FEATURE_STEAL_TIME,
  read: (state) => state.stealTime,
  write(vcpu, lo, hi) {
    if (lo & KVM_STEAL_RESERVED_MASK) return false;
    vcpu.state.stealTime = [lo, hi];
    if (lo & KVM_MSR_ENABLED) writeStealTime(vcpu, lo, hi);
    return true;
  },
};

/** The word may go unused for ever: a guest that finds its bit clear writes the APIC's EOI register. */
const pvEoi: KvmMsr = {
  feature: KVM_FEATURE_PV_EOI,
  read: (state) => state.pvEoi,
  write(vcpu, lo, hi) {
    if (lo & 2) return false; // Aligned to 4 bytes; bit 0 enables.
    vcpu.state.pvEoi = [lo, hi];
    return true;
  },
};

/** Whether the host may poll in HLT: ours has nothing to poll for. */
const pollControl: KvmMsr = {
  feature: KVM_FEATURE_POLL_CONTROL,
  read: (state) => [state.pollControl, 0],
  write(vcpu, lo, hi) {
    if (hi !== 0 || lo & ~KVM_MSR_ENABLED) return false;
    vcpu.state.pollControl = lo;
    return true;
  },
};

const KVM_MSRS: ReadonlyMap<number, KvmMsr> = new Map([
  [MSR_KVM_WALL_CLOCK, wallClock(KVM_FEATURE_CLOCKSOURCE)],
  [MSR_KVM_SYSTEM_TIME, systemTime(KVM_FEATURE_CLOCKSOURCE)],
  [MSR_KVM_WALL_CLOCK_NEW, wallClock(KVM_FEATURE_CLOCKSOURCE2)],
  [MSR_KVM_SYSTEM_TIME_NEW, systemTime(KVM_FEATURE_CLOCKSOURCE2)],
  [MSR_KVM_STEAL_TIME, stealTime],
  [MSR_KVM_PV_EOI_EN, pvEoi],
  [MSR_KVM_POLL_CONTROL, pollControl],
]);

function offers({ version, platform }: KvmVcpu, { feature }: KvmMsr, index: number): boolean {
  return (version.features & feature) !== 0 && !platform.lacks?.(KVM_MSR_NAMES.get(index) ?? '');
}

/** Null: not one of ours. False: not offered by this version, #GP(0). */
export function readKvmMsr(vcpu: KvmVcpu, index: number, out: Uint32Array): boolean | null {
  const msr = KVM_MSRS.get(index);
  if (!msr) return null;
  if (!offers(vcpu, msr, index)) return false;
  out.set(msr.read(vcpu.state));
  return true;
}

export function writeKvmMsr(vcpu: KvmVcpu, index: number, lo: number, hi: number): boolean | null {
  const msr = KVM_MSRS.get(index);
  if (!msr) return null;
  if (!offers(vcpu, msr, index)) return false;
  if (!msr.write(vcpu, lo >>> 0, hi >>> 0)) return false;
  vcpu.state.wroteMsr = true;
  return true;
}
