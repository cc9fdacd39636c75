// Where a PV domain's builder puts what: kernel, initrd, P2M, start_info, rings, page tables, stack, in Xen's toolstack's order.

import { InputError } from '../../base/errors.ts';
import { moreMemory } from '../boot/layout.ts';
import type { ImageNotes } from './image-notes.ts';

const PAGE = 4096;
const MIB = 1 << 20;
const ENTRIES = 512;
/** First page of the last GiB of a 32-bit address space, whose L2 is there even if nothing is mapped by it. */
const LAST_GIB = 0xc_0000;
/** At least this much stays free behind the stack, and the mapping ends at such a boundary (xen.h, start-of-day layout). */
const SLACK = 512 << 10;
const BOUNDARY = 4 * MIB;

/** First page and number of pages, by pseudo-physical number. */
export interface Area {
  readonly pfn: number;
  readonly pages: number;
}

export interface DomainLayout {
  readonly initrd: Area;
  readonly p2m: Area;
  readonly startInfo: number;
  readonly store: number;
  readonly console: number;
  readonly tables: Area;
  readonly stack: number;
  /** Pages that the initial tables map, from the first on. */
  readonly mappedPages: number;
}

export interface LayoutNeeds {
  readonly notes: ImageNotes;
  /** First byte behind the kernel, from the base of the mapping. */
  readonly kernelEnd: number;
  readonly initrdBytes: number;
  readonly pages: number;
  readonly wordBytes: 4 | 8;
}

export function layoutDomain({
  notes,
  kernelEnd,
  initrdBytes,
  pages,
  wordBytes,
}: LayoutNeeds): DomainLayout {
  let next = Math.ceil(kernelEnd / PAGE);
  const take = (count: number): Area => {
    const area = { pfn: next, pages: count };
    next += count;
    return area;
  };
  const initrdPages = Math.ceil(initrdBytes / PAGE);
  const mapped = notes.modStartPfn ? null : take(initrdPages);
  // Whole pages of it stay writable: kernels fill the last one up themselves.
  const p2m = take(Math.ceil((pages * wordBytes) / PAGE));
  const startInfo = take(1).pfn;
  const store = take(1).pfn;
  const console = take(1).pfn;
  const { tables, mappedPages } = layoutTables(notes, next, wordBytes);
  next += tables;
  const tableArea = { pfn: next - tables, pages: tables };
  const stack = take(1).pfn;
  next = mappedPages;
  const initrd = mapped ?? take(initrdPages);
  if (next > pages) throw tooSmall(next, pages);
  return { initrd, p2m, startInfo, store, console, tables: tableArea, stack, mappedPages };
}

/** The tables map themselves: how many there are depends on how much they map. */
function layoutTables(
  notes: ImageNotes,
  before: number,
  wordBytes: 4 | 8,
): { tables: number; mappedPages: number } {
  let tables = 0;
  for (;;) {
    const end = (before + tables + 1) * PAGE + SLACK;
    const mappedPages = (Math.ceil(end / BOUNDARY) * BOUNDARY) / PAGE;
    const needed = tableCount(notes.virtBase, mappedPages, wordBytes);
    if (needed <= tables) return { tables, mappedPages };
    tables = needed;
  }
}

/** Tables of each level that a range needs; 64 bits: four levels, else three, of which the last L2 has Xen's part in it. */
export function tableCount(virtBase: number, pages: number, wordBytes: 4 | 8): number {
  const first = Math.floor(virtBase / PAGE);
  const last = first + pages - 1;
  const span = (entries: number) => Math.floor(last / entries) - Math.floor(first / entries) + 1;
  const l1 = span(ENTRIES);
  const l2 = span(ENTRIES * ENTRIES);
  if (wordBytes === 4) return 1 + l2 + (last < LAST_GIB ? 1 : 0) + l1;
  return 1 + span(ENTRIES ** 3) + l2 + l1;
}

function tooSmall(needed: number, pages: number): InputError {
  const mib = Math.ceil((needed * PAGE) / MIB);
  return new InputError(
    'xen-pv/memory',
    `kernel, initrd and page tables need ${mib} MiB, and the domain has ${Math.floor((pages * PAGE) / MIB)}`,
    moreMemory(needed * PAGE),
  );
}
