// Changes of a grant table as a whole: its version, and two entries that change places.

import { EBUSY, EINVAL } from './abi/errno.ts';
import * as abi from './abi/grant-table.ts';
import type { XenDomain } from './domain.ts';
import { grantFrame } from './grant-frames.ts';
import { isMapped } from './grant-maps.ts';
import { entryAddress, grantEntries, markInUse } from './grants.ts';

const PAGE_BYTES = 4096;
const V1_BYTES = 8;
const V2_BYTES = 16;

/** Only while no entry is in use but reserved ones. These keep what they say, in the other form. Answers 0 or an error. */
export function setVersion(domain: XenDomain, wanted: number): number {
  const { grants } = domain.state;
  if (wanted !== 1 && wanted !== 2) return -EINVAL;
  if (grants.version === wanted) return 0;
  const beyond = (ref: number) => ref >= abi.GNTTAB_NR_RESERVED_ENTRIES;
  if (grants.pins.some(({ ref }) => beyond(ref))) return -EBUSY;
  if (grants.uses.some((_, ref) => beyond(ref) && isMapped(grants, ref))) return -EBUSY;
  const { ram } = domain.platform;
  const kept = Array.from({ length: abi.GNTTAB_NR_RESERVED_ENTRIES }, (_, ref) => {
    const at = entryAddress(domain, ref);
    if (at < 0) return null;
    const frame = ram.u32(grants.version === 1 ? at + 4 : at + 8);
    return { flags: ram.u16(at), domid: ram.u16(at + 2), frame };
  });
  for (const frame of grants.frames) ram.fill(frame, PAGE_BYTES, 0);
  grants.version = wanted;
  if (wanted === 2) grantFrame(domain, 0x8000_0000);
  kept.forEach((entry, ref) => {
    const at = entryAddress(domain, ref);
    if (!entry || at < 0) return;
    ram.setU16(at, entry.flags & ~(abi.GTF_reading | abi.GTF_writing));
    ram.setU16(at + 2, entry.domid);
    ram.setU32(wanted === 1 ? at + 4 : at + 8, entry.frame);
  });
  for (const { ref } of grants.pins) markInUse(domain, ref);
  return 0;
}

/** Answers a GNTST_*. */
export function swapEntries(domain: XenDomain, a: number, b: number): number {
  const entries = grantEntries(domain);
  if (a >= entries || b >= entries) return abi.GNTST_bad_gntref;
  const { grants } = domain.state;
  const { version } = grants;
  if (a === b) return abi.GNTST_okay;
  if (grants.pins.some(({ ref }) => ref === a || ref === b)) return abi.GNTST_eagain;
  if (isMapped(grants, a) || isMapped(grants, b)) return abi.GNTST_eagain;
  const { ram } = domain.platform;
  const bytes = version === 1 ? V1_BYTES : V2_BYTES;
  const [atA, atB] = [entryAddress(domain, a), entryAddress(domain, b)];
  const [one, other] = [ram.read(atA, bytes)!, ram.read(atB, bytes)!];
  ram.write(atA, other);
  ram.write(atB, one);
  return abi.GNTST_okay;
}
