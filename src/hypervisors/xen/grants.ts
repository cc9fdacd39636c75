// The host's side of grants: whether the guest has granted a frame to the control domain, and where its bytes are.

import {
  GNTTAB_RESERVED_CONSOLE,
  GNTTAB_RESERVED_XENSTORE,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_type_mask,
  GTF_writing,
  grantEntryV1,
  grantEntryV2,
} from './abi/grant-table.ts';
import { DOMID_CONTROL } from './abi/xen.ts';
import type { XenDomain } from './domain.ts';
import { grantFrame } from './grant-frames.ts';

const PAGE_BYTES = 4096;
const STATUS_BYTES = 2;

export interface Grant {
  readonly frame: number;
  readonly readonly: boolean;
  /** Bytes of the frame that are granted: all of them but for sub-page grants. */
  readonly from: number;
  readonly bytes: number;
}

/** Entries that the table has room for at its present size. */
export function grantEntries({ state: { grants } }: XenDomain): number {
  return (grants.frames.length * PAGE_BYTES) / entryBytes(grants.version);
}

const entryBytes = (version: 1 | 2): number =>
  version === 1 ? grantEntryV1.wide.size : grantEntryV2.wide.size;

/** RAM address of an entry, -1 if the table has none of that number. */
export function entryAddress(domain: XenDomain, ref: number): number {
  const { frames, version } = domain.state.grants;
  const perFrame = PAGE_BYTES / entryBytes(version);
  const frame = frames[Math.floor(ref / perFrame)];
  return frame === undefined ? -1 : frame + (ref % perFrame) * entryBytes(version);
}

/** What the guest grants to `domid` by that reference; null: nothing. */
export function readGrant(
  domain: XenDomain,
  ref: number,
  domid: number = DOMID_CONTROL,
): Grant | null {
  const at = entryAddress(domain, ref);
  if (at < 0) return null;
  const { ram } = domain.platform;
  const flags = ram.u16(at);
  const type = flags & GTF_type_mask;
  if (type !== GTF_permit_access || ram.u16(at + 2) !== domid) return null;
  const whole = { readonly: (flags & GTF_readonly) !== 0, from: 0, bytes: PAGE_BYTES };
  if (domain.state.grants.version === 1) return { ...whole, frame: ram.u32(at + 4) };
  const frame = ram.u32(at + 8) + ram.u32(at + 12) * 2 ** 32;
  if ((flags & GTF_sub_page) === 0) return { ...whole, frame };
  const [from, bytes] = [ram.u16(at + 4), ram.u16(at + 6)];
  return from + bytes > PAGE_BYTES ? null : { ...whole, frame, from, bytes };
}

/** RAM address of a whole granted frame, for as long as this call goes on; -1 if it may not be used so. */
export function grantedPage(domain: XenDomain, ref: number, write: boolean): number {
  const grant = readGrant(domain, ref);
  if (!grant || grant.bytes !== PAGE_BYTES || (write && grant.readonly)) return -1;
  return domain.guest.frameAddress(grant.frame);
}

/** A frame that stays mapped: the guest sees in its table that it is in use, and may not take it back. */
export function mapGrant(domain: XenDomain, ref: number): number {
  const address = grantedPage(domain, ref, true);
  if (address < 0) return -1;
  const { pins } = domain.state.grants;
  const pin = pins.find((entry) => entry.ref === ref);
  if (pin) {
    pin.count++;
    return domain.guest.frameAddress(pin.frame); // What it was when it was mapped first.
  }
  const { frame } = readGrant(domain, ref)!;
  if (!domain.guest.holdFrame(frame)) return -1;
  pins.push({ ref, frame, count: 1 });
  markInUse(domain, ref);
  return address;
}

/** What a toolstack grants the control domain for a new one, whose daemons keep it mapped (tools/libs/guest, xc_dom_gnttab_seed). */
export function seedGrants(domain: XenDomain, pages: { console: number; store: number }): void {
  const seed = (ref: number, page: number) => {
    const at = entryAddress(domain, ref);
    if (at < 0) return;
    const { ram } = domain.platform;
    ram.setU16(at, GTF_permit_access);
    ram.setU16(at + 2, DOMID_CONTROL);
    ram.setU32(at + 4, domain.guest.frameNumber(page));
    mapGrant(domain, ref);
  };
  grantFrame(domain, 0);
  seed(GNTTAB_RESERVED_CONSOLE, pages.console);
  seed(GNTTAB_RESERVED_XENSTORE, pages.store);
}

export function unmapGrant(domain: XenDomain, ref: number): void {
  const { pins } = domain.state.grants;
  const pin = pins.find((entry) => entry.ref === ref);
  if (!pin || --pin.count > 0) return;
  pins.splice(pins.indexOf(pin), 1);
  domain.guest.releaseFrame(pin.frame);
  changeInUse(domain, ref, 0, GTF_reading | GTF_writing);
}

/** The guest can see that an entry is mapped. */
export function markInUse(domain: XenDomain, ref: number): void {
  changeInUse(domain, ref, GTF_reading | GTF_writing, 0);
}

/** Flags that say how an entry is in use; in version 2 they have words of their own. */
export function changeInUse(domain: XenDomain, ref: number, set: number, clear: number): void {
  const { ram } = domain.platform;
  const { version, statusFrames } = domain.state.grants;
  let at = entryAddress(domain, ref);
  if (version === 2) {
    const perFrame = PAGE_BYTES / STATUS_BYTES;
    const frame = statusFrames[Math.floor(ref / perFrame)];
    at = frame === undefined ? -1 : frame + (ref % perFrame) * STATUS_BYTES;
  }
  if (at >= 0) ram.setU16(at, (ram.u16(at) & ~clear) | set);
}
