// Steal time: nothing else runs on this CPU, so none is ever stolen; the area says so.

import { kvmStealTime } from './abi.ts';
import { nextVersion, writeStruct } from './clock.ts';
import { addressOf, type KvmVcpu } from './vcpu.ts';

/** The enable bit and the five reserved ones: the area is aligned to 64 bytes. */
const ADDRESS_MASK = ~0x3f;

/** What a host writes when the vCPU first runs with the area: not preempted, nothing stolen since. */
export function writeStealTime({ platform }: KvmVcpu, lo: number, hi: number): void {
  writeStruct(
    platform.ram,
    kvmStealTime,
    addressOf(lo, hi, ADDRESS_MASK),
    (old) => ({ version: nextVersion(old), flags: 0, preempted: 0 }),
    kvmStealTime.offsetOf('version'),
  );
}
