// The software TLB in linear memory: fills, lookups by page and flushes, in an order that no engine can change.

import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  dataTlbIndex,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FILTER_BYTES,
  GIGA_FILTER,
  GLOBAL_COUNT,
  type Layout,
  LISTED,
  LISTED_COUNT,
  LISTED_GLOBAL,
  MEGA_FILTER,
  TLB_ENTRIES,
} from './state.ts';

/** Flags of an entry. Global: survives flushNonGlobal. */
export const ENTRY_GLOBAL = 1;
/** The page may be written in this mode, and the D flag of its table entry is set. */
export const ENTRY_WRITE = 2;
/** The entry is in the list of used ones; in that of those that were global when they were entered. */
export const ENTRY_LISTED = 4;
export const ENTRY_LISTED_GLOBAL = 8;
export const ENTRY_IN_LISTS = ENTRY_LISTED | ENTRY_LISTED_GLOBAL;
/** Bits 8..15: log2 of the size of the page that the entry is a part of; 12 as a rule. */
export const ENTRY_SIZE_SHIFT = 8;

/** NO_TAG of state.ts as halves: bit 0 of a tag is never set. */
const NO_TAG_LO = 1;

const DATA_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
const FETCH_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;

/** Word offsets within a data entry and a fetch entry. */
export const D_WRITE = 2;
export const D_ADDEND = 4;
export const D_FRAME = 5;
export const D_FLAGS = 6;
export const F_PAGE = 2;
export const F_FLAGS = 3;

/**
 * Direct mapped: data by `dataTlbIndex`, code by bits 12.. of the address. A page larger than 4 KiB is entered in parts as they are touched; two small
 * filters remember which 2 MiB and 1 GiB regions such parts came from, so that flushing one page seldom searches the list.
 * All of it is in linear memory, since WebAssembly fills and flushes too (interp/quick-tlb.ts).
 */
export class Tlb {
  private readonly u32: Uint32Array;
  private readonly ramBase: number;
  private readonly data: number;
  private readonly fetch: number;
  /** Kernels have many global entries, and CR3 writes are frequent: those must not look at them. */
  private readonly listed: Int32Array;
  private readonly global: Int32Array;
  private readonly mega: Uint8Array;
  private readonly giga: Uint8Array;
  /** Word indexes of their lengths. */
  private readonly countWord: number;
  private readonly globalsWord: number;

  constructor(u32: Uint32Array, layout: Layout) {
    this.u32 = u32;
    this.ramBase = layout.ramBase;
    this.data = layout.dataTlbs;
    this.fetch = layout.fetchTlbs;
    const { buffer } = u32;
    const lists = layout.tlbLists;
    this.listed = new Int32Array(buffer, lists + LISTED, TLB_ENTRIES);
    this.global = new Int32Array(buffer, lists + LISTED_GLOBAL, TLB_ENTRIES);
    this.mega = new Uint8Array(buffer, lists + MEGA_FILTER, FILTER_BYTES);
    this.giga = new Uint8Array(buffer, lists + GIGA_FILTER, FILTER_BYTES);
    this.countWord = (lists + LISTED_COUNT) >>> 2;
    this.globalsWord = (lists + GLOBAL_COUNT) >>> 2;
    this.reset();
  }

  /** Empties every entry, listed or not: at reset, before anything is known about the memory. */
  reset(): void {
    // The fourth data TLB too: it never gets entries.
    this.dropAll(this.data, DATA_TLB_STRIDE, 4 * DATA_BYTES);
    this.dropAll(this.fetch, FETCH_TLB_STRIDE, 2 * FETCH_BYTES);
    this.forget();
  }

  /** One entry, which is then copied in ever larger runs: this comes before V8 has optimised anything. */
  private dropAll(at: number, stride: number, bytes: number): void {
    const first = at >>> 2;
    this.u32.fill(0, first, first + (stride >>> 2));
    this.drop(at);
    for (let words = stride >>> 2; words < bytes >>> 2; words *= 2)
      this.u32.copyWithin(first + words, first, first + Math.min(words, (bytes >>> 2) - words));
  }

  private forget(): void {
    this.u32[this.countWord] = 0;
    this.u32[this.globalsWord] = 0;
    this.mega.fill(0);
    this.giga.fill(0);
  }

  /** Rebuilds the list and the filters from linear memory: after a snapshot has been copied in. */
  rebuild(): void {
    this.forget();
    for (let at = this.data; at < this.data + 3 * DATA_BYTES; at += DATA_TLB_STRIDE)
      this.relist(at, D_FLAGS);
    for (let at = this.fetch; at < this.fetch + 2 * FETCH_BYTES; at += FETCH_TLB_STRIDE)
      this.relist(at, F_FLAGS);
  }

  /** Word index of the entry of data TLB `tlb` in which the page `lo` belongs. */
  dataEntry(tlb: number, lo: number): number {
    return (tlb + dataTlbIndex(lo) * DATA_TLB_STRIDE) >>> 2;
  }

  fetchEntry(tlb: number, lo: number): number {
    return (tlb + ((lo >>> 12) & (FETCH_TLB_ENTRIES - 1)) * FETCH_TLB_STRIDE) >>> 2;
  }

  /** Does the data entry hold the page? `lo` and `hi` are halves of the page address, unsigned. */
  holds(i: number, lo: number, hi: number): boolean {
    return this.u32[i] === lo && this.u32[i + 1] === hi;
  }

  mayWrite(i: number): boolean {
    return (this.u32[i + D_FLAGS]! & ENTRY_WRITE) !== 0;
  }

  dataFrame(i: number): number {
    return this.u32[i + D_FRAME]!;
  }

  fetchPage(i: number): number {
    return this.u32[i + F_PAGE]!;
  }

  /** Enters a page of RAM for reading. `flags`: ENTRY_GLOBAL, ENTRY_WRITE and the size. */
  fillData(i: number, lo: number, hi: number, page: number, flags: number): void {
    const u32 = this.u32;
    const lists = this.list(i << 2, u32[i + D_FLAGS]!, flags);
    u32[i] = lo;
    u32[i + 1] = hi;
    u32[i + D_WRITE] = NO_TAG_LO;
    u32[i + D_WRITE + 1] = 0;
    u32[i + D_ADDEND] = this.ramBase + page - lo;
    u32[i + D_FRAME] = page >>> 12;
    u32[i + D_FLAGS] = flags | lists;
    this.remember(lo, hi, flags);
  }

  /** Lets the engines write through an entry that holds its page. */
  openWrite(i: number): void {
    this.u32[i + D_WRITE] = this.u32[i]!;
    this.u32[i + D_WRITE + 1] = this.u32[i + 1]!;
  }

  fillFetch(i: number, lo: number, hi: number, page: number, flags: number): void {
    const u32 = this.u32;
    const lists = this.list(i << 2, u32[i + F_FLAGS]!, flags);
    u32[i] = lo;
    u32[i + 1] = hi;
    u32[i + F_PAGE] = page;
    u32[i + F_FLAGS] = flags | lists;
    this.remember(lo, hi, flags);
  }

  /** Puts the entry into the list that `flags` say, unless `old` says it is there: gives the bits for the lists that it is in. */
  private list(at: number, old: number, flags: number): number {
    const bit = flags & ENTRY_GLOBAL ? ENTRY_LISTED_GLOBAL : ENTRY_LISTED;
    if ((old & bit) === 0) {
      if (bit === ENTRY_LISTED) this.listed[this.u32[this.countWord]!++] = at;
      else this.global[this.u32[this.globalsWord]!++] = at;
    }
    return (old & ENTRY_IN_LISTS) | bit;
  }

  /** Stores to `frame` come to the MMU from now on; what the entries allow stays as it is. */
  closeWrites(frame: number): void {
    const count = this.u32[this.countWord]!;
    const globals = this.u32[this.globalsWord]!;
    for (let n = 0; n < count; n++) this.closeIf(this.listed[n]!, frame);
    for (let n = 0; n < globals; n++) this.closeIf(this.global[n]!, frame);
  }

  private closeIf(at: number, frame: number): void {
    const i = at >>> 2;
    if (at >= this.fetch || this.u32[i + D_FRAME] !== frame) return;
    this.u32[i + D_WRITE] = NO_TAG_LO;
    this.u32[i + D_WRITE + 1] = 0;
  }

  /** Addresses of the entries that may hold something; some appear twice. */
  entries(): Int32Array {
    const count = this.u32[this.countWord]!;
    const globals = this.u32[this.globalsWord]!;
    const all = new Int32Array(count + globals);
    all.set(this.listed.subarray(0, count));
    all.set(this.global.subarray(0, globals), count);
    return all;
  }

  flushAll(): void {
    this.flushNonGlobal();
    const globals = this.u32[this.globalsWord]!;
    for (let n = 0; n < globals; n++) {
      const at = this.global[n]!;
      this.drop(at);
      this.u32[this.flagsAt(at)] = 0;
    }
    this.forget();
  }

  flushNonGlobal(): void {
    const count = this.u32[this.countWord]!;
    for (let n = 0; n < count; n++) {
      const at = this.listed[n]!;
      const flags = this.flagsAt(at);
      const old = this.u32[flags]!;
      if ((old & ENTRY_GLOBAL) !== 0) {
        this.u32[flags] = old & ~ENTRY_LISTED; // Entered anew since, as a global one: the other list has it.
        continue;
      }
      this.drop(at);
      this.u32[flags] = old & ENTRY_LISTED_GLOBAL;
    }
    this.u32[this.countWord] = 0;
  }

  /** Drops the page's entries, global or not, and all parts of a large page that it lies in. SDM 3A 4.10.4.1. */
  flushPage(lo: number, hi: number): void {
    for (let n = 0; n < 3; n++) this.dropIf(this.dataEntry(this.data + n * DATA_BYTES, lo), lo, hi);
    for (let n = 0; n < 2; n++)
      this.dropIf(this.fetchEntry(this.fetch + n * FETCH_BYTES, lo), lo, hi);
    if (this.mega[(lo >>> 21) & (FILTER_BYTES - 1)] || this.giga[gigaSlot(lo, hi)])
      this.flushLarge(lo, hi);
  }

  private flushLarge(lo: number, hi: number): void {
    const count = this.u32[this.countWord]!;
    const globals = this.u32[this.globalsWord]!;
    for (let n = 0; n < count; n++) this.dropPart(this.listed[n]!, lo, hi);
    for (let n = 0; n < globals; n++) this.dropPart(this.global[n]!, lo, hi);
  }

  private dropPart(at: number, lo: number, hi: number): void {
    const i = at >>> 2;
    const shift = (this.u32[this.flagsAt(at)]! >>> ENTRY_SIZE_SHIFT) & 0xff;
    if (shift > 12 && this.u32[i + 1] === hi && this.u32[i]! >>> shift === lo >>> shift)
      this.drop(at);
  }

  private dropIf(i: number, lo: number, hi: number): void {
    if (this.holds(i, lo, hi)) this.drop(i << 2);
  }

  /** Clears the tags only: the entry stays listed until the next flush. */
  private drop(at: number): void {
    const i = at >>> 2;
    this.u32[i] = NO_TAG_LO;
    this.u32[i + 1] = 0;
    if (at >= this.fetch) return;
    this.u32[i + D_WRITE] = NO_TAG_LO;
    this.u32[i + D_WRITE + 1] = 0;
  }

  private flagsAt(at: number): number {
    return (at >>> 2) + (at >= this.fetch ? F_FLAGS : D_FLAGS);
  }

  private remember(lo: number, hi: number, flags: number): void {
    const shift = (flags >>> ENTRY_SIZE_SHIFT) & 0xff;
    if (shift <= 12) return;
    if (shift === 30) {
      this.giga[gigaSlot(lo, hi)] = 1;
      return;
    }
    // A 4 MiB page is two regions of 2 MiB.
    const region = shift === 22 ? (lo >>> 21) & ~1 : lo >>> 21;
    this.mega[region & (FILTER_BYTES - 1)] = 1;
    if (shift === 22) this.mega[(region | 1) & (FILTER_BYTES - 1)] = 1;
  }

  private relist(at: number, flagWord: number): void {
    const i = at >>> 2;
    const flags = this.u32[i + flagWord]!;
    if ((flags & ENTRY_IN_LISTS) === 0) return;
    if (flags & ENTRY_LISTED) this.listed[this.u32[this.countWord]!++] = at;
    if (flags & ENTRY_LISTED_GLOBAL) this.global[this.u32[this.globalsWord]!++] = at;
    this.remember(this.u32[i]!, this.u32[i + 1]!, flags);
  }
}

function gigaSlot(lo: number, hi: number): number {
  return ((lo >>> 30) | (hi << 2)) & (FILTER_BYTES - 1);
}
