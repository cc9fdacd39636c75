// The page tables that a PV guest begins on: the toolstack's, in its order, validated and pinned.

import { InputError } from '../../base/errors.ts';
import type { DomainLayout } from './domain-layout.ts';
import type { ImageNotes } from './image-notes.ts';
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US } from './page-tables.ts';
import type { PvDomain } from './pv-domain.ts';

const PAGE = 4096;
const ENTRIES = 512;
/** As Xen's toolstack writes them (tools/libs/guest, L1_PROT and its kind). */
const TABLE = PTE_P | PTE_RW | PTE_A | PTE_D | PTE_US;
const LEAF = PTE_P | PTE_RW | PTE_A;
/** The L2 of the top GiB of a 32-bit guest has Xen's part in it: it is there whether the guest maps something by it or not. */
const LAST_L2 = 3;

/** Top table first, then level by level: kernels recycle the first three. Answers the top table, validated and pinned. */
export function writeTables(
  { tables, frames, state }: PvDomain,
  { virtBase }: ImageNotes,
  layout: DomainLayout,
  p2m: Uint32Array,
): number {
  let next = layout.tables.pfn;
  const isTable = (pfn: number) =>
    pfn >= layout.tables.pfn && pfn < layout.tables.pfn + layout.tables.pages;
  const first = Math.floor(virtBase / PAGE);
  const put = (table: number, slot: number, mfn: number, flags: number) =>
    tables.put(table, slot, (mfn << 12) | flags, mfn >>> 20);
  const { topType } = tables;
  const top = next++;
  /** Tables of the level above, by the number of the area that each covers. */
  let above = new Map<number, number>([[Math.floor(first / ENTRIES ** topType), top]]);
  for (let level = topType - 1; level >= 1; level--) {
    const span = ENTRIES ** level;
    const last = Math.floor((first + layout.mappedPages - 1) / span);
    // A PAE L3 entry says that there is a table, and no more. SDM 3A 4.4.1.
    const flags = state.narrow && level === topType - 1 ? PTE_P : TABLE;
    const areas = new Set<number>();
    for (let area = Math.floor(first / span); area <= last; area++) areas.add(area);
    if (state.narrow && level === topType - 1) areas.add(LAST_L2);
    const here = new Map<number, number>();
    for (const area of areas) {
      const pfn = next++;
      here.set(area, pfn);
      const parent = above.get(Math.floor(area / ENTRIES))!;
      put(p2m[parent]!, modulo(area, ENTRIES), p2m[pfn]!, flags);
    }
    above = here;
  }
  const leaf = state.narrow ? LEAF : LEAF | PTE_US;
  for (let pfn = 0; pfn < layout.mappedPages; pfn++) {
    const table = above.get(Math.floor((first + pfn) / ENTRIES))!;
    put(p2m[table]!, modulo(first + pfn, ENTRIES), p2m[pfn]!, isTable(pfn) ? leaf & ~PTE_RW : leaf);
  }
  const mfn = p2m[top]!;
  // Once for the pin, once for being the one that runs.
  for (let n = 0; n < 2; n++) {
    if (tables.getFrameAndType(mfn, topType) !== 0)
      throw new InputError('xen-pv/tables', 'the initial tables are refused', 'this is our bug.');
  }
  frames.setPinned(mfn, true);
  return mfn;
}

const modulo = (a: number, b: number): number => ((a % b) + b) % b;
