// Which blocks there are: a descriptor before the records of each, a list of those in each page, and where in a page code lies.

import type { Layout, Views } from '../state.ts';
import { TABLES_BYTES, tablesAt } from './decode-tables.ts';

/** Records of the next block in the list of its page and of its second page, 0: none; all are u32. */
export const D_NEXT = 0;
const D_NEXT2 = 1;
export const D_GPA = 2;
export const D_END = 3;
export const D_GPA2 = 4;
export const D_END2 = 5;
export const D_MODE_KEY = 6;
/** Its last record, a multiple of 32, and in the bits below how many chains that has. */
export const D_LAST = 7;
export const DESCRIPTOR_BYTES = 32;
const CHAINS = 3;
export const NO_PAGE = 0xffffffff;
/** In place of the mode key: the block has been dropped. */
const DEAD = 0xffffffff;

/** One bit for a hash of each address that had a block since all were dropped: most that are looked for have none. */
const SEEN_BITS = 1 << 20;
const SEEN_BYTES = SEEN_BITS / 8;
export const SEEN_SHIFT = 32 - Math.log2(SEEN_BITS);
export const SEEN_HASH = 0x9e3779b1;

/** Code is tracked in granules of 64 bytes: 64 to a page, as two words. */
export const GRANULE_SHIFT = 6;

/**
 * A decoded block. `gpa2`: physical address of the second page of an instruction that crosses into it, or -1.
 * `chains`: how many chain fields its last record has (END one, a branch two).
 */
export interface Block {
  readonly record: number;
  readonly last: number;
  readonly chains: 0 | 1 | 2;
  readonly gpa: number;
  /** First byte behind it, in its own page; and in the second one. */
  readonly end: number;
  readonly gpa2: number;
  readonly end2: number;
  readonly modeKey: number;
}

/** Where in linear memory the parts of a table lie: `seen`, then u32 for each frame (its newest block), then its granules. */
export interface TablePlaces {
  readonly seen: number;
  readonly newest: number;
  readonly granules: number;
  /** A multiple of RECORD_BYTES. */
  readonly end: number;
}

export function tablePlaces(layout: Layout): TablePlaces {
  const frames = layout.ramBytes >>> 12;
  const seen = tablesAt(layout) + TABLES_BYTES;
  const newest = seen + SEEN_BYTES;
  const granules = newest + frames * 4;
  return { seen, newest, granules, end: (granules + frames * 8 + 31) & ~31 };
}

/** Blocks are named by their first record, which nothing else takes before all are dropped. */
export class BlockTable {
  private readonly u32: Uint32Array;
  /** By frame: the block decoded last. */
  private readonly newest: Uint32Array;
  private readonly granules: Uint32Array;
  private readonly seen: Uint32Array;

  constructor(views: Views, layout: Layout) {
    this.u32 = views.u32;
    const places = tablePlaces(layout);
    const frames = layout.ramBytes >>> 12;
    views.u8.fill(0, places.seen, places.end);
    this.seen = views.u32.subarray(places.seen >> 2, places.newest >> 2);
    this.newest = views.u32.subarray(places.newest >> 2, (places.newest >> 2) + frames);
    this.granules = views.u32.subarray(places.granules >> 2, (places.granules >> 2) + 2 * frames);
  }

  /** `gpa2` -1: it has one page, and no `end2`. */
  add(
    record: number,
    last: number,
    chains: number,
    gpa: number,
    end: number,
    gpa2: number,
    end2: number,
    modeKey: number,
  ): void {
    const { u32 } = this;
    const d = descriptorOf(record);
    u32[d + D_GPA] = gpa;
    u32[d + D_END] = end;
    u32[d + D_GPA2] = gpa2; // -1 is NO_PAGE here.
    u32[d + D_END2] = end2;
    u32[d + D_MODE_KEY] = modeKey;
    u32[d + D_LAST] = last | chains;
    u32[d + D_NEXT] = this.newest[gpa >>> 12] as number;
    this.newest[gpa >>> 12] = record;
    const bit = seenBit(gpa);
    this.seen[bit >>> 5] = (this.seen[bit >>> 5] as number) | (1 << (bit & 31));
    this.mark(gpa, end);
    if (gpa2 < 0) return;
    this.mark(pageOf(gpa2), end2);
    if (gpa2 >>> 12 === gpa >>> 12) return; // In one list only.
    u32[d + D_NEXT2] = this.newest[gpa2 >>> 12] as number;
    this.newest[gpa2 >>> 12] = record;
  }

  /** The block at this address, the latest if there are several with different second pages; 0: none. */
  find(gpa: number, modeKey: number): number {
    const bit = seenBit(gpa);
    if ((((this.seen[bit >>> 5] as number) >>> (bit & 31)) & 1) === 0) return 0;
    const { u32 } = this;
    const page = pageOf(gpa);
    for (let b = this.first(page); b !== 0; b = this.after(b, page)) {
      const d = descriptorOf(b);
      if (u32[d + D_GPA] === gpa && u32[d + D_MODE_KEY] === modeKey) return b;
    }
    return 0;
  }

  first(page: number): number {
    return this.newest[page >>> 12] as number;
  }

  /** The one behind it in the list of this page. */
  after(record: number, page: number): number {
    return this.u32[this.linkOf(record, page)] as number;
  }

  /** Out of the page's list; `previous` is before it there, 0: nothing. */
  unlink(record: number, previous: number, page: number): void {
    const next = this.after(record, page);
    if (previous === 0) this.newest[page >>> 12] = next;
    else this.u32[this.linkOf(previous, page)] = next;
  }

  /** The same, where it is not known what stands before it. */
  remove(record: number, page: number): void {
    let previous = 0;
    for (let b = this.first(page); b !== 0; b = this.after(b, page)) {
      if (b === record) {
        this.unlink(record, previous, page);
        return;
      }
      previous = b;
    }
  }

  kill(record: number): void {
    this.u32[descriptorOf(record) + D_MODE_KEY] = DEAD;
  }

  isDead(record: number): boolean {
    return this.u32[descriptorOf(record) + D_MODE_KEY] === DEAD;
  }

  gpa(record: number): number {
    return this.u32[descriptorOf(record) + D_GPA] as number;
  }

  /** -1: it has no second page. */
  gpa2(record: number): number {
    const gpa2 = this.u32[descriptorOf(record) + D_GPA2] as number;
    return gpa2 === NO_PAGE ? -1 : gpa2;
  }

  modeKey(record: number): number {
    return this.u32[descriptorOf(record) + D_MODE_KEY] as number;
  }

  last(record: number): number {
    return ((this.u32[descriptorOf(record) + D_LAST] as number) & ~CHAINS) >>> 0;
  }

  chains(record: number): number {
    return (this.u32[descriptorOf(record) + D_LAST] as number) & CHAINS;
  }

  /** Bytes of it lie there. */
  touches(record: number, gpa: number, bytes: number): boolean {
    const { u32 } = this;
    const d = descriptorOf(record);
    if (gpa < u32[d + D_END]! && gpa + bytes > u32[d + D_GPA]!) return true;
    const gpa2 = u32[d + D_GPA2]!;
    return gpa2 !== NO_PAGE && gpa < u32[d + D_END2]! && gpa + bytes > pageOf(gpa2);
  }

  /** Whether bytes of some block lie there. Granules say no quickly; data beside code is told apart by the blocks. */
  hasCode(gpa: number, bytes: number): boolean {
    const last = gpa + bytes - 1;
    for (let g = gpa >>> GRANULE_SHIFT; g <= last >>> GRANULE_SHIFT; g++) {
      if ((((this.granules[g >>> 5] as number) >>> (g & 31)) & 1) !== 0)
        return this.reachesBlock(gpa, bytes);
    }
    return false;
  }

  /** No page has blocks any more. */
  forgetSeen(): void {
    this.seen.fill(0);
  }

  /** The page has no blocks any more. */
  unmark(page: number): void {
    const frame = page >>> 12;
    this.newest[frame] = 0;
    this.granules[frame * 2] = 0;
    this.granules[frame * 2 + 1] = 0;
  }

  /** The page has lost blocks: stores where they were need not be looked at any more. */
  remark(page: number): void {
    const { u32 } = this;
    const word = (page >>> 12) * 2;
    this.granules[word] = 0;
    this.granules[word + 1] = 0;
    for (let b = this.first(page); b !== 0; b = this.after(b, page)) {
      const d = descriptorOf(b);
      const gpa = u32[d + D_GPA] as number;
      if (pageOf(gpa) === page) this.mark(gpa, u32[d + D_END] as number);
      const gpa2 = u32[d + D_GPA2] as number;
      if (gpa2 !== NO_PAGE && pageOf(gpa2) === page) this.mark(page, u32[d + D_END2] as number);
    }
  }

  describe(record: number): Block {
    const { u32 } = this;
    const d = descriptorOf(record);
    const gpa2 = this.gpa2(record);
    return {
      record,
      last: this.last(record),
      chains: this.chains(record) as Block['chains'],
      gpa: u32[d + D_GPA] as number,
      end: u32[d + D_END] as number,
      gpa2,
      end2: gpa2 < 0 ? -1 : (u32[d + D_END2] as number),
      modeKey: u32[d + D_MODE_KEY] as number,
    };
  }

  private reachesBlock(gpa: number, bytes: number): boolean {
    for (let frame = gpa >>> 12; frame <= (gpa + bytes - 1) >>> 12; frame++) {
      const page = frame * 4096;
      for (let b = this.first(page); b !== 0; b = this.after(b, page))
        if (this.touches(b, gpa, bytes)) return true;
    }
    return false;
  }

  private mark(from: number, to: number): void {
    for (let g = from >>> GRANULE_SHIFT; g <= (to - 1) >>> GRANULE_SHIFT; g++) {
      this.granules[g >>> 5] = (this.granules[g >>> 5] as number) | (1 << (g & 31));
    }
  }

  private linkOf(record: number, page: number): number {
    const d = descriptorOf(record);
    const own = ((this.u32[d + D_GPA] as number) ^ page) >>> 12 === 0;
    return d + (own ? D_NEXT : D_NEXT2);
  }
}

/** Frames from 2 GiB on have addresses that are no 32-bit integers. */
export const pageOf = (gpa: number): number => (gpa & ~0xfff) >>> 0;

const seenBit = (gpa: number): number => Math.imul(gpa, SEEN_HASH) >>> SEEN_SHIFT;

const descriptorOf = (record: number): number => (record - DESCRIPTOR_BYTES) >>> 2;
