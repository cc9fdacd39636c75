// kvmclock: the time area that a guest computes nanoseconds from, and the wall clock at its zero.

import type { Fields, Struct, StructPatch } from '../../base/struct.ts';
import type { GuestRam } from '../../machine/memory.ts';
import {
  KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
  PVCLOCK_TSC_STABLE_BIT,
  pvclockVcpuTimeInfo,
  pvclockWallClock,
} from './abi.ts';
import { addressOf, halves, type KvmVcpu } from './vcpu.ts';

/**
 * The TSC runs at 1 GHz: a tick is a nanosecond. ns = ((ticks << 1) * 2^31) >> 32, in the form that a host computes,
 * whose multiplier has its top bit set so that none of its precision is lost.
 */
const TSC_SHIFT = 1;
const TSC_TO_SYSTEM_MUL = 0x8000_0000;
const VERSION_AT = 0;

/** Fills the area at once: the guest reads it right behind the WRMSR. Memory that is not there is not written, as on KVM. */
export function writeTimeInfo({ platform, version }: KvmVcpu, lo: number, hi: number): void {
  const stable = (version.features & KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) !== 0;
  writeStruct(platform.ram, pvclockVcpuTimeInfo, addressOf(lo, hi, ~1), (old) => ({
    version: nextVersion(old),
    tsc_timestamp: halves(platform.cpu.cx.tsc()),
    system_time: platform.clock.now(),
    tsc_to_system_mul: TSC_TO_SYSTEM_MUL,
    tsc_shift: TSC_SHIFT,
    flags: stable ? PVCLOCK_TSC_STABLE_BIT : 0,
  }));
}

/** Wall time when the system time was 0. */
export function writeWallClock({ platform }: KvmVcpu, lo: number, hi: number): void {
  writeStruct(platform.ram, pvclockWallClock, addressOf(lo, hi, ~0), (old) => ({
    version: nextVersion(old),
    sec: platform.epochSeconds >>> 0,
    nsec: 0,
  }));
}

/** Odd while an update is under way, so always even when a guest can look; never the same twice. */
export function nextVersion(old: number): number {
  return (old + (old & 1) + 2) >>> 0;
}

/** Updates a shared area whose version is its first field, or the one at `versionAt`. False: no RAM there. */
export function writeStruct<F extends Fields>(
  ram: GuestRam,
  area: Struct<F>,
  gpa: number,
  patch: (oldVersion: number) => StructPatch<F>,
  versionAt = VERSION_AT,
): boolean {
  const bytes = ram.read(gpa, area.size);
  if (!bytes) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  area.write(view, 0, patch(view.getUint32(versionAt, true)));
  return ram.write(gpa, bytes);
}
