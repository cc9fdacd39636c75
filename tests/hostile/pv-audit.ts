// Counts every reference to a PV domain's frames by hand, and compares it with what Xen has counted.

import type { BareGuest } from '../../src/hypervisors/testing/bare-guest.ts';
import { GNTMAP_device_map, GNTMAP_readonly } from '../../src/hypervisors/xen/abi/grant-table.ts';
import type { DomainState } from '../../src/hypervisors/xen/domain.ts';
import {
  type FrameState,
  OWNER_GUEST,
  TYPE_L1,
  TYPE_L4,
  TYPE_XEN_L2,
} from '../../src/hypervisors/xen-pv/frames.ts';
import {
  FIRST_XEN_L2_SLOT,
  FIRST_XEN_SLOT,
  LAST_XEN_SLOT,
  mfnOf,
  PTE_P,
  PTE_RW,
} from '../../src/hypervisors/xen-pv/page-tables.ts';
import type { PvState } from '../../src/hypervisors/xen-pv/pv-state.ts';

const ENTRIES = 512;
/** Flags of a frame, as frames.ts has them. */
const PINNED = 1;
const ALLOCATED = 4;

/** `pages`: frames that were the domain's at the start; null if all counts are right. */
export function auditFrames(
  { snapshots, ram }: BareGuest,
  pages: ReadonlySet<number>,
): string | null {
  const { slots } = snapshots.save();
  const frames = slots['xen-pv.frames'] as unknown as FrameState;
  const { vcpus, eoiFrame } = slots['xen-pv'] as unknown as PvState;
  const { grants } = slots.xen as unknown as DomainState;
  const total = frames.owner.length;
  const refs = new Uint32Array(total);
  const uses = new Uint32Array(total);
  const hold = (mfn: number) => {
    refs[mfn]!++;
    uses[mfn]!++;
  };
  for (const { kernelTable, userTable, gdtFrames, ldtFrames } of vcpus)
    for (const mfn of [kernelTable, userTable, ...gdtFrames, ...ldtFrames]) if (mfn >= 0) hold(mfn);
  for (const mfn of [eoiFrame, ...grants.pins.map(({ frame }) => frame)]) if (mfn >= 0) hold(mfn);
  // For devices; what is mapped for the guest is in its tables.
  for (const { frame, flags } of grants.maps) {
    if ((flags & GNTMAP_device_map) === 0) continue;
    refs[frame]!++;
    if ((flags & GNTMAP_readonly) === 0) uses[frame]!++;
  }
  for (let mfn = 0; mfn < total; mfn++) {
    if (frames.owner[mfn] !== OWNER_GUEST) continue;
    const flags = frames.flags[mfn]!;
    if (flags & PINNED) hold(mfn);
    if (flags & ALLOCATED) refs[mfn]!++;
    // Xen's own that it shares hold themselves.
    if (!pages.has(mfn)) hold(mfn);
    const type = frames.type[mfn]!;
    if (frames.typeCount[mfn] === 0 || !isTable(type)) continue;
    for (let slot = 0; slot < ENTRIES; slot++) {
      const lo = ram.u32(mfn * 4096 + slot * 8);
      if ((lo & PTE_P) === 0 || isXens(type, slot)) continue;
      const to = mfnOf(lo, ram.u32(mfn * 4096 + slot * 8 + 4));
      if (to >= total) return `entry ${slot} of table ${mfn} refers to frame ${to}`;
      if (type !== TYPE_L1 || lo & PTE_RW) hold(to);
      else refs[to]!++;
    }
  }
  for (let mfn = 0; mfn < total; mfn++) {
    if (frames.owner[mfn] !== OWNER_GUEST) {
      if (refs[mfn] !== 0) return `frame ${mfn} is nobody's and has ${refs[mfn]} references`;
      continue;
    }
    if (frames.refs[mfn] !== refs[mfn] || frames.typeCount[mfn] !== uses[mfn])
      return `frame ${mfn} of type ${frames.type[mfn]} counts ${frames.refs[mfn]} references and ${frames.typeCount[mfn]} uses, and has ${refs[mfn]} and ${uses[mfn]}`;
  }
  return null;
}

const isTable = (type: number) => (type >= TYPE_L1 && type <= TYPE_L4) || type === TYPE_XEN_L2;

function isXens(type: number, slot: number): boolean {
  if (type === TYPE_L4) return slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT;
  return type === TYPE_XEN_L2 && slot >= FIRST_XEN_L2_SLOT;
}
