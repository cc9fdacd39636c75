// Frames on the guest's stack: their words between `PvDomain.frame` and RAM, straight where nobody listens, else by the MMU.

import { FRAME_CODE, FRAME_WATCH } from '../../cpu/frames.ts';
import { FIELDS } from '../../cpu/state.ts';
import type { PvDomain } from './pv-domain.ts';

const PAGE = 4096;
/** Breakpoints that are armed. SDM 3B 18.2.4. */
const DR7_ENABLED = 0xff;

/** Longest frame. */
export const FRAME_BYTES = 96;

export function writeFrame(pv: PvDomain, va: number, bytes: number): boolean {
  const { frame } = pv;
  const { mmu, views } = pv.cpu;
  const first = frameWords(pv, va, bytes, true);
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
  const first = frameWords(pv, va, bytes, false);
  if (first < 0 && !mmu.read(va, bytes, 'current')) return false;
  for (let n = 0; n < bytes >> 2; n++)
    frame[n] = first < 0 ? mmu.buf.getUint32(n * 4, true) : views.u32[first + n]!;
  return true;
}

/**
 * Index of the word at `va` in the CPU's memory, if all `bytes` lie in one page of RAM that may be read, or written. -1: the
 * MMU has to do it, and says whether it can be done at all.
 */
function frameWords({ cpu }: PvDomain, va: number, bytes: number, writes: boolean): number {
  const { layout, state, views } = cpu;
  if ((va & 7) !== 0 || (va & (PAGE - 1)) + bytes > PAGE) return -1;
  if (state.get(FIELDS.dr7) & DR7_ENABLED) return -1;
  const gpa = cpu.mmu.ramAddress(va, writes, 'current');
  if (gpa < 0) return -1;
  const attr = views.u8[layout.frameAttrs + (gpa >>> 12)]!;
  if (writes && (attr & (FRAME_CODE | FRAME_WATCH)) !== 0) return -1;
  return (layout.ramBase + gpa) >>> 2;
}
