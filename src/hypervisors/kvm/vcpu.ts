// One vCPU on KVM: the values of its paravirtual MSRs, and what its calls and areas may reach.

import type { Platform } from '../define.ts';
import type { KvmVersion } from './versions.ts';

/** Plain state: MSR values as halves, by name; and what the guest has used of us. */
export interface KvmState {
  /** The old and the new MSRs are the same registers behind two numbers. */
  wallClock: number[];
  systemTime: number[];
  stealTime: number[];
  pvEoi: number[];
  pollControl: number;
  readFeatures: boolean;
  wroteMsr: boolean;
  called: boolean;
}

export const freshKvmState = (): KvmState => ({
  wallClock: [0, 0],
  systemTime: [0, 0],
  stealTime: [0, 0],
  pvEoi: [0, 0],
  pollControl: 1,
  readFeatures: false,
  wroteMsr: false,
  called: false,
});

export interface KvmVcpu {
  readonly platform: Platform;
  readonly version: KvmVersion;
  readonly state: KvmState;
}

/** A guest-physical address that a guest has put into an MSR; -1 if no memory can be there. */
export function addressOf(lo: number, hi: number, mask: number): number {
  const gpa = (hi >>> 0) * 0x1_0000_0000 + ((lo & mask) >>> 0);
  return gpa <= Number.MAX_SAFE_INTEGER ? gpa : -1;
}

/** A 64-bit value as `u64pair` fields take it. */
export function halves(value: bigint): { lo: number; hi: number } {
  return { lo: Number(value & 0xffff_ffffn), hi: Number((value >> 32n) & 0xffff_ffffn) };
}
