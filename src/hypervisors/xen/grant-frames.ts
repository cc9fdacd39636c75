// The frames of a domain's grant table: how many there are, and where.

import { XENMAPIDX_grant_table_status } from './abi/memory.ts';
import type { XenDomain } from './domain.ts';

/** `max_grant_frames` of xl where nobody sets it (xl.cfg). */
export const GRANT_FRAMES_MAX = 64;
/** A status word of 2 bytes for each entry of 16. */
export const STATUS_FRAMES_MAX = Math.ceil(GRANT_FRAMES_MAX / 8);

/** RAM address of frame `idx` of the table (or of the status frames, by the index's top bit); it grows up to there. -1: none. */
export function grantFrame(domain: XenDomain, idx: number): number {
  const { grants } = domain.state;
  const status = idx >= XENMAPIDX_grant_table_status;
  if (status && grants.version !== 2) return -1;
  const n = status ? idx - XENMAPIDX_grant_table_status : idx;
  if (!Number.isInteger(n) || n < 0 || n >= (status ? STATUS_FRAMES_MAX : GRANT_FRAMES_MAX))
    return -1;
  const list = status ? grants.statusFrames : grants.frames;
  while (list.length <= n) {
    const address = domain.guest.hostFrame();
    if (address < 0) return -1;
    list.push(address);
  }
  return list[n]!;
}
