// Pages that a PV domain gives back and takes again: the balloon's side of memory_op.

import type { PvDomain } from './pv-domain.ts';

/** The domain lets go of a page: it is gone when nothing refers to it any more. False: it had no such page. */
export function freePage(pv: PvDomain, mfn: number): boolean {
  const { frames, tables, state, space } = pv;
  if (!frames.isPage(mfn)) return false;
  frames.setPage(mfn, false);
  space.setPfn(mfn, null);
  state.pages--;
  tables.putFrame(mfn);
  return true;
}

/** A page more, cleared, at `pfn` of the machine-to-physical table; -1: there is none to be had. */
export function takePage(pv: PvDomain, pfn: number | null): number {
  const { frames, state, space, platform } = pv;
  if (state.pages >= state.maxPages || state.freeCount === 0) return -1;
  const mfn = state.free[--state.freeCount]!;
  platform.ram.fill(mfn * 4096, 4096, 0);
  frames.give(mfn);
  space.setPfn(mfn, pfn);
  state.pages++;
  return mfn;
}

/** The last reference to a frame is gone. */
export function frameFreed(pv: PvDomain, mfn: number): void {
  pv.frames.take(mfn);
  pv.state.free[pv.state.freeCount++] = mfn;
}
