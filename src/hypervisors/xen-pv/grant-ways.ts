// How a PV guest's page tables take a frame that is granted to it: at an address, or by an entry that it names.

import type { Pair } from '../../base/struct.ts';
import * as abi from '../xen/abi/grant-table.ts';
import type { GrantWays } from '../xen/memory.ts';
import { TYPE_L1, TYPE_WRITABLE } from './frames.ts';
import { mappingTable } from './hypercalls/update-va-mapping.ts';
import { mfnOf, PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, slotOf } from './page-tables.ts';
import type { PvDomain } from './pv-domain.ts';

/** Bits of an entry that are the guest's own. */
const AVAILABLE = 7;
const AVAILABLE_AT = 9;
const ENTRY_BYTES = 8;

interface Entry {
  readonly table: number;
  readonly slot: number;
}

export function grantWays(pv: PvDomain): GrantWays {
  const { tables, frames } = pv;
  const at = (host: Pair, flags: number): Entry | null =>
    flags & abi.GNTMAP_contains_pte ? entryAt(pv, host) : entryFor(pv, host);
  const change = ({ table, slot }: Entry, lo: number, hi: number): boolean =>
    tables.change(table, slot, TYPE_L1, lo, hi, false) === 0;
  return {
    map(host, frame, flags) {
      const entry = at(host, flags);
      return entry !== null && change(entry, lowHalf(frame, flags), frame >>> 20);
    },
    unmap(host, frame, flags, instead) {
      const entry = at(host, flags);
      // Nothing takes the place of an entry that is named by itself.
      if (!entry || (instead && flags & abi.GNTMAP_contains_pte)) return false;
      const [lo, hi] = [tables.lo(entry.table, entry.slot), tables.hi(entry.table, entry.slot)];
      const differs = (lo ^ lowHalf(frame, flags)) & (PTE_P | PTE_RW);
      if (differs || mfnOf(lo, hi) !== frame) return false;
      if (!(instead ? replace(pv, entry, instead) : change(entry, 0, 0))) return false;
      tables.flushAll();
      return true;
    },
    hold: (frame, write) =>
      write ? tables.getFrameAndType(frame, TYPE_WRITABLE) === 0 : frames.get(frame),
    letGo: (frame, write) => (write ? tables.putFrameAndType(frame) : tables.putFrame(frame)),
  };
}

/** Xen 4.17, arch/x86/pv/grant_table.c: GRANT_PTE_FLAGS, and what the call's flags add. */
function lowHalf(frame: number, flags: number): number {
  const available = (flags >>> abi.GNTMAP_guest_avail0) & AVAILABLE;
  return (
    (frame << 12) |
    (PTE_P | PTE_A | PTE_D) |
    (flags & abi.GNTMAP_readonly ? 0 : PTE_RW) |
    (flags & abi.GNTMAP_application_map ? PTE_US : 0) |
    (available << AVAILABLE_AT)
  );
}

function entryFor(pv: PvDomain, { lo, hi }: Pair): Entry | null {
  // A 32-bit guest's addresses have 32 bits, whatever the structure has room for.
  const va = pv.state.narrow ? lo : (hi | 0) * 4294967296 + lo;
  const table = mappingTable(pv, va);
  return table < 0 ? null : { table, slot: slotOf(va >>> 0, 0, 1) };
}

function entryAt({ frames }: PvDomain, { lo, hi }: Pair): Entry | null {
  const table = hi * 0x10_0000 + (lo >>> 12);
  if (lo % ENTRY_BYTES !== 0 || !frames.isGuests(table)) return null;
  if (frames.typeOf(table) !== TYPE_L1 || frames.uses(table) === 0) return null;
  return { table, slot: (lo & 0xfff) / ENTRY_BYTES };
}

/** What is mapped at the other address is mapped here, and no longer there. */
function replace(pv: PvDomain, entry: Entry, instead: Pair): boolean {
  const { tables } = pv;
  const other = entryFor(pv, instead);
  if (!other) return false;
  const [lo, hi] = [tables.lo(other.table, other.slot), tables.hi(other.table, other.slot)];
  if (tables.change(entry.table, entry.slot, TYPE_L1, lo, hi, false) !== 0) return false;
  return tables.change(other.table, other.slot, TYPE_L1, 0, 0, false) === 0;
}
