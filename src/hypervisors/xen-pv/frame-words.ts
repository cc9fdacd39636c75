// Frames on the guest's stack and what calls point to: words between `PvDomain.frame` and RAM, straight where nobody listens, else by the MMU.

import type { Cpu } from '../../cpu/core.ts';
import { FRAME_CODE, FRAME_WATCH } from '../../cpu/frames.ts';
import { FIELDS } from '../../cpu/state.ts';
import { tlbPlace } from '../../cpu/tlb-place.ts';
import type { PvDomain } from './pv-domain.ts';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from './xen-space.ts';

const PAGE = 4096;
/** Breakpoints that are armed. SDM 3B 18.2.4. */
const DR7_ENABLED = 0xff;

/** The first upper half of Xen's own addresses, signed as all halves are, and how many there are. */
const XEN_HIGH = (HYPERVISOR_VIRT_START / 4294967296) | 0;
const XEN_HIGHS = (HYPERVISOR_VIRT_END - HYPERVISOR_VIRT_START) / 4294967296;

/** Longest of them. */
export const FRAME_BYTES = 96;

/** Word index in linear memory of a frame at these halves of its address; -1: `writeFrame` and `readFrame` have to do it. */
export function frameInTlb(
  pv: PvDomain,
  lo: number,
  hi: number,
  bytes: number,
  writes: 0 | 1,
): number {
  const at = (lo & 7) === 0 ? bytesInTlb(pv, lo, hi, bytes, writes) : 0;
  return at === 0 ? -1 : at >>> 2;
}

/** The place in linear memory of bytes of the guest's that the TLB has, as 32 signed bits; 0: not that simple. */
export function bytesInTlb(
  { words, vcpuWords }: PvDomain,
  lo: number,
  hi: number,
  bytes: number,
  writes: 0 | 1,
): number {
  // Xen refuses to touch its own part of the address space for a guest.
  if ((hi - XEN_HIGH) >>> 0 < XEN_HIGHS) return 0;
  return tlbPlace(words, vcpuWords, lo, hi, bytes, writes);
}

export function writeFrame(pv: PvDomain, va: number, bytes: number): boolean {
  const { frame } = pv;
  const { mmu, views } = pv.cpu;
  const first = wordsInRam(pv, va, bytes, true);
  if (first >= 0) {
    for (let n = 0; n < bytes >> 2; n++) views.i32[first + n] = frame[n]!;
    return true;
  }
  for (let n = 0; n < bytes >> 2; n++) mmu.buf.setInt32(n * 4, frame[n]!, true);
  return mmu.write(va, bytes, 'current');
}

export function readFrame(pv: PvDomain, va: number, bytes: number): boolean {
  const { frame } = pv;
  const { mmu, views } = pv.cpu;
  const first = wordsInRam(pv, va, bytes, false);
  if (first < 0 && !mmu.read(va, bytes, 'current')) return false;
  for (let n = 0; n < bytes >> 2; n++)
    frame[n] = first < 0 ? mmu.buf.getInt32(n * 4, true) : views.i32[first + n]!;
  return true;
}

/** Index of the first word; -1 if the MMU has to do it. */
function wordsInRam(pv: PvDomain, va: number, bytes: number, writes: boolean): number {
  const at = (va & 7) === 0 ? placeInRam(pv, va, bytes, writes) : -1;
  return at < 0 ? -1 : at >>> 2;
}

/**
 * Where the bytes at `va` are in the CPU's memory, if they lie in one page of RAM that may be read, or written. -1: the MMU
 * has to do it, and says whether it can be done at all.
 */
export function placeInRam(
  { cpu }: { readonly cpu: Cpu },
  va: number,
  bytes: number,
  writes: boolean,
): number {
  const { layout, state, views } = cpu;
  if ((va & (PAGE - 1)) + bytes > PAGE) return -1;
  if (state.get(FIELDS.dr7) & DR7_ENABLED) return -1;
  const gpa = cpu.mmu.ramAddress(va, writes, 'current');
  if (gpa < 0) return -1;
  const attr = views.u8[layout.frameAttrs + (gpa >>> 12)]!;
  if (writes && (attr & (FRAME_CODE | FRAME_WATCH)) !== 0) return -1;
  return layout.ramBase + gpa;
}
