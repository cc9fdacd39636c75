// Which machine frames the guest gets, in which order, and which are Xen's own: a permutation that the seed decides.

/** A guest that takes frame numbers for page numbers must not get away with it, so neighbours are never neighbours. */
export interface MachineFrames {
  /** Machine frame of each of the guest's pages. */
  readonly guest: Uint32Array;
  /** Frames of Xen's own. */
  readonly xen: Uint32Array;
}

export function permuteFrames(total: number, guestPages: number, seed: number): MachineFrames {
  const all = new Uint32Array(total);
  for (let n = 0; n < total; n++) all[n] = n;
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x2545f491) >>> 0 || 1;
  for (let n = total - 1; n > 0; n--) {
    // xorshift32 (Marsaglia 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    const other = state % (n + 1);
    const kept = all[n]!;
    all[n] = all[other]!;
    all[other] = kept;
  }
  keepFirstFrame(all, guestPages);
  return { guest: all.slice(0, guestPages), xen: all.slice(guestPages) };
}

/** Frame 0 is never a guest's: calls say `none` by it (xen.h, MMUEXT_NEW_USER_BASEPTR). The last one goes in its place. */
function keepFirstFrame(all: Uint32Array, guestPages: number): void {
  const at = all.indexOf(0);
  const last = all.length - 1;
  if (at >= guestPages) return;
  all[at] = all[last]!;
  all[last] = 0;
}
