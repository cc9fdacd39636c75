// Tier 0's code cache: decodes basic blocks into records, finds them again, drops them when their bytes change.

import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import { FRAME_CODE } from '../frames.ts';
import type { Mmu } from '../mmu.ts';
import {
  type Layout,
  MODE_KEY_FLAT,
  MODE_KEY_LIMIT,
  MODE_KEY_STACK,
  type Views,
} from '../state.ts';
import { type DecodeTables, FRAME, KEPT, keyOfMode, TABLES_BYTES } from './decode-tables.ts';
import { type FormFacts, factsOf, type Handlers, NOT_KNOWN } from './handlers.ts';
import {
  ENTRY_SLOT_SHIFT,
  JUMP_SET_BYTES,
  JUMP_SETS,
  JUMP_SLOT_BYTES,
  JUMP_SLOTS,
} from './lookup.ts';
import {
  ASKS,
  ASKS_CLASS,
  ASKS_TEMPLATE,
  ENDS_BRANCH,
  ENDS_FALL,
  ENDS_JUMP,
  F_AT,
  F_FROM,
  F_KEY,
  F_KNOWN,
  F_LEFT,
  type QuickDecode,
  READ_AHEAD,
} from './quick-decode.ts';
import {
  H_INDEX,
  H_SLOT,
  HANDLER_GUARD,
  HANDLER_HEAD,
  HANDLER_REGION,
  R_CHAIN,
  R_FALL_CHAIN,
  R_HANDLER,
  R_LEFT,
  R_NEXT,
  R_TARGET,
  RECORD_BYTES,
  writeEnd,
  writeHead,
  writeRecord,
} from './records.ts';

export const MAX_BLOCK = 64;
const MAX_INSN = 15;
/** Decoded code is tracked in granules of 64 bytes: 64 to a page, as two words. */
const GRANULE_SHIFT = 6;
const JUMP_SLOT_WORDS = JUMP_SLOT_BYTES / 4;

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

/** Why no block could be made: the bytes are no instruction, or not one of ours. */
export interface NoBlock {
  readonly failure: 'undefined' | 'too-long' | 'second-page' | 'limit';
}

export class CodeCache {
  /** Counts blocks decoded and dropped, for --stats. */
  decoded = 0;
  dropped = 0;
  /** Instructions that decode.ts decoded. */
  asked = 0;
  private readonly views: Views;
  private readonly layout: Layout;
  private readonly handlers: Handlers;
  private readonly mmu: Mmu;
  private readonly tables: DecodeTables;
  private readonly quick: QuickDecode | null;
  /** Told of every block that is dropped. */
  onDrop: ((block: Block) => void) | null = null;
  private readonly heads: boolean;
  private readonly maxBlock: number;
  private readonly byRecord = new Map<number, Block>();
  /** By mode key, then by address (`gpa | 0`: a small integer, which a Map finds fast). */
  private readonly blocks = new Map<number, Map<number, Block>>();
  private readonly byPage = new Map<number, Block[]>();
  /** Guest-physical addresses of instructions that must end their block: they touched MMIO or decoded code. */
  private readonly alone = new Set<number>();
  /** Where decoding is: see quick-decode.ts. */
  private readonly cursor = { at: 0, from: 0, known: 0, left: 0, key: 0 };
  private readonly granules: Uint32Array;
  private readonly poolStart: number;
  private readonly poolEnd: number;
  private poolNext: number;
  readonly jumpCache: number;
  /** Room for a copy of a block's beginning. */
  readonly partial: number;

  /**
   * `heads`: blocks begin with a record that counts. `maxBlock`: their most instructions, 64 or fewer. `quick` null:
   * decode.ts decodes them all.
   */
  constructor(
    views: Views,
    layout: Layout,
    handlers: Handlers,
    mmu: Mmu,
    { tables, quick }: { tables: DecodeTables; quick: QuickDecode | null },
    { heads, maxBlock = MAX_BLOCK }: { heads: boolean; maxBlock?: number },
  ) {
    this.tables = tables;
    this.quick = quick;
    this.heads = heads;
    this.maxBlock = maxBlock;
    this.views = views;
    this.layout = layout;
    this.handlers = handlers;
    this.mmu = mmu;
    this.granules = new Uint32Array((layout.ramBytes >>> 12) * 2);
    this.jumpCache = layout.engine;
    this.partial = tables.at + TABLES_BYTES;
    this.poolStart = this.partial + (MAX_BLOCK + 3) * RECORD_BYTES;
    this.poolEnd = layout.engine + layout.engineBytes;
    this.poolNext = this.poolStart;
    this.clearJumpCache();
  }

  find(gpa: number, modeKey: number): Block | undefined {
    return this.blocks.get(modeKey)?.get(gpa | 0);
  }

  /** The live block whose first record this is. */
  blockAt(record: number): Block | undefined {
    return this.byRecord.get(record);
  }

  isAlone(gpa: number): boolean {
    return this.alone.has(gpa);
  }

  /** Puts a block where the hot function looks first; not if it depends on the limit of CS, which is no part of the key there. */
  remember(block: Block): void {
    if (block.modeKey & MODE_KEY_LIMIT) return;
    const { u32, i32 } = this.views;
    const first = this.jumpSet(block.gpa) >> 2;
    if (u32[first] !== block.gpa || u32[first + 1] !== block.modeKey)
      i32.copyWithin(first + JUMP_SLOT_WORDS, first, first + JUMP_SLOT_WORDS);
    u32[first] = block.gpa;
    u32[first + 1] = block.modeKey;
    i32[first + 2] = block.record;
    i32[first + 3] = this.entryOf(block.record);
  }

  /** Translated code begins, or no longer begins, with this block: its head says so already. */
  entryChanged(block: Block): void {
    const { i32 } = this.views;
    const set = this.jumpSet(block.gpa) >> 2;
    for (const slot of [set, set + JUMP_SLOT_WORDS])
      if (i32[slot + 2] === block.record) i32[slot + 3] = this.entryOf(block.record);
  }

  private entryOf(record: number): number {
    const { u16, i32 } = this.views;
    if (u16[(record + R_HANDLER) >> 1] !== HANDLER_REGION) return 0;
    const slot = i32[(record + H_SLOT) >> 2] as number;
    return (slot << ENTRY_SLOT_SHIFT) | (i32[(record + H_INDEX) >> 2] as number);
  }

  /** The record that the hot function would find for this address, had the TLB its page; 0: none, or a guard, which has asked. */
  remembered(gpa: number, modeKey: number): number {
    const { u16, u32, i32 } = this.views;
    let slot = this.jumpSet(gpa) >> 2;
    if (u32[slot] !== gpa || u32[slot + 1] !== modeKey) slot += JUMP_SLOT_WORDS;
    if (u32[slot] !== gpa || u32[slot + 1] !== modeKey) return 0;
    const record = i32[slot + 2] as number;
    return u16[(record + R_HANDLER) >> 1] === HANDLER_GUARD ? 0 : record;
  }

  /** True when the pool had to be emptied: records seen before are gone. */
  makeRoom(): boolean {
    const fits = this.poolNext + (MAX_BLOCK + 3) * RECORD_BYTES <= this.poolEnd;
    if (fits && this.handlers.hasRoom(MAX_BLOCK)) return false;
    this.dropAll();
    if (fits) this.handlers.forgetCold();
    return true;
  }

  dropAll(): void {
    for (const page of this.byPage.keys()) this.unmarkPage(page);
    this.dropped += this.byRecord.size;
    if (this.onDrop) for (const b of this.byRecord.values()) this.onDrop(b);
    this.blocks.clear();
    this.byRecord.clear();
    this.byPage.clear();
    this.clearJumpCache();
    this.poolNext = this.poolStart;
  }

  /**
   * Decodes the block at `gpa`. `second` gives the physical address of the next virtual page when the first instruction
   * crosses into it, or -1 after raising a fault.
   */
  decode(gpa: number, modeKey: number, second: () => number): Block | NoBlock {
    const room = roomOf(modeKey);
    if ((gpa & 0xfff) >= room) return { failure: 'limit' };
    const mode = modeOf(modeKey);
    const otherStack = (modeKey & MODE_KEY_STACK) !== 0;
    const limited = (modeKey & MODE_KEY_LIMIT) !== 0;
    const { u8 } = this.views;
    const page = this.layout.ramBase + pageOf(gpa);
    const pageEnd = page + Math.min(room, 0x1000);
    const first = this.poolNext;
    const cursor = this.cursor;
    cursor.at = first + (this.heads ? RECORD_BYTES : 0);
    cursor.from = this.layout.ramBase + gpa;
    cursor.known = NOT_KNOWN;
    cursor.left = this.maxBlock;
    for (;;) {
      const why = this.advance(page, pageEnd, modeKey);
      if (why <= ENDS_BRANCH) return this.closeAt(first, gpa, modeKey, why);
      const { from } = cursor;
      this.asked++;
      const d = decode(u8, from, Math.min(pageEnd, from + MAX_INSN), mode, otherStack, limited);
      if ('failure' in d) {
        // The block ends before it; it is looked at when it is reached.
        if (cursor.left < this.maxBlock) return this.closeAt(first, gpa, modeKey, ENDS_FALL);
        if (d.failure !== 'truncated') return { failure: d.failure };
        if (room <= 0x1000) return { failure: 'limit' };
        return this.decodeCrossing(gpa, modeKey, second);
      }
      const facts = factsOf(d);
      const { program, traits: t } = facts;
      if (why === ASKS_TEMPLATE) this.tables.learn(cursor.key, d, facts);
      this.put(cursor.at, d, facts, from - page, cursor.known, modeKey, u8, from);
      if (t.leaves !== KEPT) cursor.known = t.leaves;
      cursor.from += d.length;
      cursor.at += RECORD_BYTES;
      cursor.left--;
      const chains = t.falls ? ENDS_FALL : t.branches ? ENDS_BRANCH : ENDS_JUMP;
      if (program.ends || this.alone.has(from - this.layout.ramBase))
        return this.closeAt(first, gpa, modeKey, chains);
    }
  }

  /** Decodes what needs no JavaScript; how the block ends, or that the instruction at the cursor asks for it. */
  private advance(page: number, pageEnd: number, modeKey: number): number {
    const { cursor, quick, tables } = this;
    if (quick === null || page + 0x1000 + READ_AHEAD > this.views.u8.length)
      return cursor.left === 0 || cursor.from >= pageEnd ? ENDS_FALL : ASKS;
    const mode = keyOfMode(
      modeOf(modeKey),
      (modeKey & MODE_KEY_STACK) !== 0,
      (modeKey & MODE_KEY_LIMIT) !== 0,
    );
    const flat = (modeKey & MODE_KEY_FLAT) !== 0 ? 1 : 0;
    const { u32 } = this.views;
    const frame = (tables.at + FRAME) >> 2;
    for (;;) {
      const { at, from, known, left } = cursor;
      const why = quick(at, from, page, pageEnd, mode, flat, known, left);
      cursor.at = u32[frame + (F_AT >> 2)] as number;
      cursor.from = u32[frame + (F_FROM >> 2)] as number;
      cursor.known = u32[frame + (F_KNOWN >> 2)] as number;
      cursor.left = u32[frame + (F_LEFT >> 2)] as number;
      cursor.key = u32[frame + (F_KEY >> 2)] as number;
      if (why !== ASKS_CLASS) return why;
      tables.learnClass(cursor.key);
    }
  }

  /** The cursor is behind the block's last instruction. */
  private closeAt(first: number, gpa: number, modeKey: number, chains: number): Block {
    const { at, from } = this.cursor;
    const gpaEnd = from - this.layout.ramBase;
    if (chains === ENDS_FALL) writeEnd(this.views, at, gpaEnd - pageOf(gpa));
    return this.close({
      first,
      end: at,
      gpa,
      gpa2: -1,
      modeKey,
      chains: chains as Block['chains'],
      gpaEnd,
    });
  }

  /** The first bytes of the current block, as many instructions as `count`, then END. */
  copyPartial(record: number, count: number): number {
    const { u8, u16 } = this.views;
    let from = record;
    let to = this.partial;
    const opening = u16[(from + R_HANDLER) >> 1];
    if (opening === HANDLER_GUARD) return record; // One instruction: never partial.
    if (opening === HANDLER_HEAD || opening === HANDLER_REGION) from += RECORD_BYTES;
    u8.copyWithin(to, from, from + count * RECORD_BYTES);
    for (let left = count; left > 0; left--) {
      u8[to + R_LEFT] = left;
      to += RECORD_BYTES;
      from += RECORD_BYTES;
    }
    const lastRecord = to - RECORD_BYTES;
    writeEnd(this.views, to, u16[(lastRecord + R_NEXT) >> 1] as number);
    return this.partial;
  }

  /** This instruction must end its block from now on; blocks that have it inside are dropped. */
  isolate(gpa: number): void {
    if (this.alone.size > 1 << 16) {
      this.alone.clear();
      this.tables.clearAlone();
    }
    this.alone.add(gpa);
    this.tables.setAlone(this.layout.ramBase + gpa);
    this.written(gpa, 1);
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

  private reachesBlock(gpa: number, bytes: number): boolean {
    for (let frame = gpa >>> 12; frame <= (gpa + bytes - 1) >>> 12; frame++) {
      const blocks = this.byPage.get(frame * 4096);
      if (blocks !== undefined && anyTouches(blocks, gpa, bytes)) return true;
    }
    return false;
  }

  /** Drops the blocks that these bytes belong to. */
  written(gpa: number, bytes: number): void {
    for (let frame = gpa >>> 12; frame <= (gpa + bytes - 1) >>> 12; frame++) {
      const page = frame * 4096;
      const blocks = this.byPage.get(page);
      if (blocks === undefined || !anyTouches(blocks, gpa, bytes)) continue;
      const hit = blocks.filter((b) => touches(b, gpa, bytes));
      const left = blocks.filter((b) => !touches(b, gpa, bytes));
      if (left.length > 0) this.byPage.set(page, left);
      else this.byPage.delete(page);
      for (const b of hit) {
        this.drop(b, page);
        if (b.gpa2 >= 0) this.unchain(this.byPage.get(pageOf(b.gpa)) ?? [], hit);
      }
      this.unchain(left, hit);
      if (left.length === 0) this.unmarkPage(page);
    }
  }

  private drop(b: Block, page: number): void {
    const { i32, u32 } = this.views;
    const ofMode = this.blocks.get(b.modeKey);
    if (ofMode?.get(b.gpa | 0) === b) ofMode.delete(b.gpa | 0);
    this.byRecord.delete(b.record);
    this.onDrop?.(b);
    this.dropped++;
    const set = this.jumpSet(b.gpa) >> 2;
    for (const slot of [set, set + JUMP_SLOT_WORDS]) {
      if (i32[slot + 2] !== b.record) continue;
      u32[slot] = 0xffffffff;
      u32[slot + 1] = 0xffffffff;
    }
    // It may be running: nothing may lead from its end into other dropped blocks.
    if (b.chains > 0) i32[(b.last + R_CHAIN) >> 2] = 0;
    if (b.chains > 1) i32[(b.last + R_FALL_CHAIN) >> 2] = 0;
    const other = pageOf(b.gpa) === page ? b.gpa2 : b.gpa;
    if (other < 0) return;
    const list = this.byPage.get(pageOf(other));
    const i = list?.indexOf(b) ?? -1;
    if (list && i >= 0) list.splice(i, 1);
  }

  /** Blocks chain within their page only: those that are left there must not lead into dropped ones. */
  private unchain(left: readonly Block[], dropped: readonly Block[]): void {
    const { i32 } = this.views;
    const records = new Set(dropped.map((b) => b.record));
    for (const b of left) {
      const at = (b.last + R_CHAIN) >> 2;
      const fall = (b.last + R_FALL_CHAIN) >> 2;
      if (b.chains > 0 && records.has(i32[at] as number)) i32[at] = 0;
      if (b.chains > 1 && records.has(i32[fall] as number)) i32[fall] = 0;
    }
  }

  private unmarkPage(page: number): void {
    const frame = page >>> 12;
    this.mmu.clearFrame(frame, FRAME_CODE);
    this.granules[frame * 2] = 0;
    this.granules[frame * 2 + 1] = 0;
  }

  private put(
    at: number,
    d: Decoded,
    facts: FormFacts,
    page: number,
    known: number,
    modeKey: number,
    code: Uint8Array,
    codeAt: number,
  ): void {
    const flat = (modeKey & MODE_KEY_FLAT) !== 0;
    writeRecord(this.views, at, d, page, facts.traits.branches);
    this.views.u16[(at + R_HANDLER) >> 1] = this.handlers.numberOf(
      d,
      facts,
      known,
      flat,
      code,
      codeAt,
    );
  }

  /** An instruction that reaches into the next page: a block of its own, behind a guard. */
  private decodeCrossing(gpa: number, modeKey: number, second: () => number): Block | NoBlock {
    const gpa2 = second();
    if (gpa2 < 0) return { failure: 'second-page' };
    const { u8, u16, i32 } = this.views;
    const ram = this.layout.ramBase;
    const bytes = new Uint8Array(MAX_INSN);
    const head = 0x1000 - (gpa & 0xfff);
    bytes.set(u8.subarray(ram + gpa, ram + gpa + head));
    bytes.set(u8.subarray(ram + gpa2, ram + gpa2 + MAX_INSN - head), head);
    const otherStack = (modeKey & MODE_KEY_STACK) !== 0;
    const limited = (modeKey & MODE_KEY_LIMIT) !== 0;
    const end15 = Math.min(MAX_INSN, roomOf(modeKey) - (gpa & 0xfff));
    const d = decode(bytes, 0, end15, modeOf(modeKey), otherStack, limited);
    if ('failure' in d && d.failure === 'truncated' && end15 < MAX_INSN)
      return { failure: 'limit' };
    if ('failure' in d) return { failure: d.failure === 'truncated' ? 'too-long' : d.failure };
    const first = this.poolNext;
    const at = first + RECORD_BYTES;
    const facts = factsOf(d);
    const { falls, branches } = facts.traits;
    this.put(at, d, facts, gpa & 0xfff, NOT_KNOWN, modeKey, bytes, 0);
    u8.copyWithin(first, at, at + RECORD_BYTES);
    u16[(first + R_HANDLER) >> 1] = HANDLER_GUARD;
    i32[(first + R_TARGET) >> 2] = gpa2 & ~0xfff;
    const end = at + RECORD_BYTES;
    if (falls) writeEnd(this.views, end, u16[(at + R_NEXT) >> 1] as number);
    const chains = falls ? 1 : branches ? 2 : 0;
    return this.close({ first, end, gpa, gpa2, modeKey, chains, gpaEnd: gpa + d.length });
  }

  /** `end` is behind the last instruction's record; with one chain, an END record stands there. */
  private close(b: {
    first: number;
    end: number;
    gpa: number;
    gpa2: number;
    modeKey: number;
    chains: 0 | 1 | 2;
    gpaEnd: number;
  }): Block {
    const crossing = b.gpa2 >= 0;
    const headed = this.heads && !crossing;
    let left = 1;
    for (
      let at = b.end - RECORD_BYTES;
      at >= b.first + (headed ? RECORD_BYTES : 0);
      at -= RECORD_BYTES
    )
      this.views.u8[at + R_LEFT] = crossing ? 1 : left++;
    if (headed) writeHead(this.views, b.first);
    const falls = b.chains === 1;
    this.poolNext = falls ? b.end + RECORD_BYTES : b.end;
    const block: Block = {
      record: b.first,
      last: falls ? b.end : b.end - RECORD_BYTES,
      chains: b.chains,
      gpa: b.gpa,
      end: Math.min(b.gpaEnd, pageOf(b.gpa) + 0x1000),
      gpa2: b.gpa2,
      end2: crossing ? pageOf(b.gpa2) + (b.gpaEnd & 0xfff) : -1,
      modeKey: b.modeKey,
    };
    this.decoded++;
    let ofMode = this.blocks.get(b.modeKey);
    if (!ofMode) {
      ofMode = new Map();
      this.blocks.set(b.modeKey, ofMode);
    }
    ofMode.set(b.gpa | 0, block);
    this.byRecord.set(block.record, block);
    this.markCode(block, b.gpa, block.end);
    if (crossing) this.markCode(block, pageOf(b.gpa2), block.end2);
    return block;
  }

  private markCode(block: Block, from: number, to: number): void {
    const page = pageOf(from);
    const list = this.byPage.get(page);
    if (list) list.push(block);
    else this.byPage.set(page, [block]);
    for (let g = from >>> GRANULE_SHIFT; g <= (to - 1) >>> GRANULE_SHIFT; g++) {
      this.granules[g >>> 5] = (this.granules[g >>> 5] as number) | (1 << (g & 31));
    }
    const attr = this.views.u8[this.layout.frameAttrs + (page >>> 12)] as number;
    if ((attr & FRAME_CODE) === 0) this.mmu.setFrame(page >>> 12, FRAME_CODE);
  }

  private jumpSet(gpa: number): number {
    return this.jumpCache + ((gpa ^ (gpa >>> 12)) & (JUMP_SETS - 1)) * JUMP_SET_BYTES;
  }

  private clearJumpCache(): void {
    const from = this.jumpCache >> 2;
    this.views.u32.fill(0xffffffff, from, from + (JUMP_SLOTS * JUMP_SLOT_BYTES) / 4);
  }
}

/** Frames from 2 GiB on have addresses that are no 32-bit integers. */
const pageOf = (gpa: number): number => (gpa & ~0xfff) >>> 0;

function anyTouches(blocks: readonly Block[], gpa: number, bytes: number): boolean {
  for (let i = 0; i < blocks.length; i++) if (touches(blocks[i]!, gpa, bytes)) return true;
  return false;
}

function touches(b: Block, gpa: number, bytes: number): boolean {
  if (gpa < b.end && gpa + bytes > b.gpa) return true;
  return b.gpa2 >= 0 && gpa < b.end2 && gpa + bytes > pageOf(b.gpa2);
}

/** Where CS ends so near: bytes from the start of the page that may be fetched, in the mode key that blocks are looked up by. */
export const ROOM_SHIFT = 10;
/** From here on the limit is none for the page: its last instruction may reach 14 bytes into the next one. */
export const ROOM_ENOUGH = 0x1000 + MAX_INSN - 1;

const roomOf = (modeKey: number): number => modeKey >>> ROOM_SHIFT || ROOM_ENOUGH;

export function modeOf(modeKey: number): 16 | 32 | 64 {
  const mode = modeKey & 0x7f;
  return mode === 16 || mode === 32 ? mode : 64;
}
