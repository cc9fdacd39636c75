// Frames on the guest's stack and what calls point to: words between `PvDomain.frame` and RAM, straight where nobody listens, else by the MMU.

import type { Cpu } from '../../cpu/core.ts';
import { FRAME_CODE, FRAME_WATCH } from '../../cpu/frames.ts';
import { FIELDS } from '../../cpu/state.ts';
import type { PvDomain } from './pv-domain.ts';

const PAGE = 4096;
/** Breakpoints that are armed. SDM 3B 18.2.4. */
const DR7_ENABLED = 0xff;

/** Longest of them. */
export const FRAME_BYTES = 96;

export function writeFrame(pv: PvDomain, va: number, bytes: number): boolean {
  const { frame } = pv;
  const { mmu, views } = pv.cpu;
  const first = wordsInRam(pv, va, bytes, true);
  if (first >= 0) {
    for (let n = 0; n < bytes >> 2; n++) views.u32[first + n] = frame[n]!;
    return true;
  }
  for (let n = 0; n < bytes >> 2; n++) mmu.buf.setUint32(n * 4, frame[n]!, true);
  return mmu.write(va, bytes, 'current');
}

export function readFrame(pv: PvDomain, va: number, bytes: number): boolean {
  const { frame } = pv;
  const { mmu, views } = pv.cpu;
  const first = wordsInRam(pv, va, bytes, false);
  if (first < 0 && !mmu.read(va, bytes, 'current')) return false;
  for (let n = 0; n < bytes >> 2; n++)
    frame[n] = first < 0 ? mmu.buf.getUint32(n * 4, true) : views.u32[first + n]!;
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
