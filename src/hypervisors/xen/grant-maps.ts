// Grants that a domain maps: its own, by its own number, since the only other domain there is gives none.

import type { Pair, StructValue } from '../../base/struct.ts';
import * as abi from './abi/grant-table.ts';
import type { XenDomain } from './domain.ts';
import type { GrantMap, GrantState, GrantUse } from './grant-state.ts';
import { changeInUse, grantEntries, readGrant } from './grants.ts';

const PAGE_BYTES = 4096;
const WAYS = abi.GNTMAP_device_map | abi.GNTMAP_host_map;
/** Handles that a domain may have, as xl sets it (max_maptrack_frames): 1024 frames of 256 entries. */
const MAPS_MAX = 1024 * 256;

type MapArgument = StructValue<(typeof abi.gnttabMapGrantRef)['wide']['fields']>;

/** Whether the domain maps the entry. */
export const isMapped = ({ uses }: GrantState, ref: number): boolean =>
  (uses[ref]?.maps ?? 0) !== 0;
const writes = ({ flags }: Pick<GrantMap, 'flags'>): boolean => (flags & abi.GNTMAP_readonly) === 0;
const isNull = ({ lo, hi }: Pair): boolean => lo === 0 && hi === 0;

/** Answers handle and bus address, or a GNTST_* below zero. (Xen 4.17, common/grant_table.c, map_grant_ref.) */
export function mapGranted(
  domain: XenDomain,
  { host_addr, flags, ref }: MapArgument,
): number | { handle: number; dev_bus_addr: Pair } {
  const { grantWays } = domain.guest;
  const { grants } = domain.state;
  if (!grantWays || ref >= grantEntries(domain)) return abi.GNTST_bad_gntref;
  // An entry is in use by one domain at a time.
  if (grants.pins.some((pin) => pin.ref === ref)) return abi.GNTST_general_error;
  const frame = grantedFrame(domain, ref, flags);
  if (frame < 0) return frame;
  const handle = grants.free.at(-1) ?? grants.maps.length;
  if (handle >= MAPS_MAX) return abi.GNTST_no_space;
  const write = writes({ flags });
  if (flags & abi.GNTMAP_device_map && !grantWays.hold(frame, write))
    return abi.GNTST_general_error;
  if (flags & abi.GNTMAP_host_map && !grantWays.map(host_addr, frame, flags)) {
    if (flags & abi.GNTMAP_device_map) grantWays.letGo(frame, write);
    return abi.GNTST_general_error;
  }
  grants.free.pop();
  grants.maps[handle] = { ref, frame, flags };
  const use = useOf(grants, ref);
  use.frame = frame;
  use.maps++;
  if (write) use.writes++;
  changeInUse(domain, ref, abi.GTF_reading | (write ? abi.GTF_writing : 0), 0);
  return { handle, dev_bus_addr: busAddress(frame) };
}

/** The entry is asked again only for more than it is in use for: what it said before holds until then. */
function grantedFrame(domain: XenDomain, ref: number, flags: number): number {
  const { frame, maps, writes: written } = useOf(domain.state.grants, ref);
  if (maps !== 0 && (!writes({ flags }) || written !== 0)) return frame;
  const grant = readGrant(domain, ref, domain.id);
  if (!grant || grant.bytes !== PAGE_BYTES || (grant.readonly && writes({ flags })))
    return abi.GNTST_general_error;
  return maps !== 0 ? frame : grant.frame;
}

function useOf({ uses }: GrantState, ref: number): GrantUse {
  while (uses.length <= ref) uses.push({ frame: 0, maps: 0, writes: 0 });
  return uses[ref]!;
}

interface Unmapping {
  readonly host: Pair;
  readonly bus?: Pair;
  readonly instead?: Pair;
}

/** Answers a GNTST_*. A way whose address is 0 stays as it is, and that is no error. (The same, unmap_common.) */
export function unmapGranted(
  domain: XenDomain,
  handle: number,
  { host, bus, instead }: Unmapping,
): number {
  const { grantWays } = domain.guest;
  const map = domain.state.grants.maps[handle];
  if (!grantWays || !map || (map.flags & WAYS) === 0) return abi.GNTST_bad_handle;
  const { frame } = map;
  if (bus && !isNull(bus) && map.flags & abi.GNTMAP_device_map) {
    const { lo, hi } = busAddress(frame);
    if (bus.lo !== lo || bus.hi !== hi) return abi.GNTST_bad_dev_addr;
    grantWays.letGo(frame, writes(map));
    unmapped(domain, handle, abi.GNTMAP_device_map);
  }
  if (!isNull(host) && map.flags & abi.GNTMAP_host_map) {
    const other = instead && !isNull(instead) ? instead : null;
    if (!grantWays.unmap(host, frame, map.flags, other)) return abi.GNTST_general_error;
    unmapped(domain, handle, abi.GNTMAP_host_map);
  }
  return abi.GNTST_okay;
}

/** What nobody uses the entry for any more is not shown in it. */
function unmapped(domain: XenDomain, handle: number, way: number): void {
  const { grants } = domain.state;
  const map = grants.maps[handle]!;
  const use = useOf(grants, map.ref);
  map.flags &= ~way;
  if ((map.flags & WAYS) === 0) {
    grants.free.push(handle);
    use.maps--;
    if (writes(map)) use.writes--;
  }
  const over = (use.maps === 0 ? abi.GTF_reading : 0) | (use.writes === 0 ? abi.GTF_writing : 0);
  changeInUse(domain, map.ref, 0, over);
}

/** The table is gone; mappings stay in the page tables, as those of any page do. */
export function forgetMaps({ guest, state }: XenDomain): void {
  for (const map of state.grants.maps)
    if (map.flags & abi.GNTMAP_device_map) guest.grantWays?.letGo(map.frame, writes(map));
}

const busAddress = (frame: number): Pair => ({
  lo: (frame * PAGE_BYTES) >>> 0,
  hi: Math.floor(frame / 0x10_0000),
});
