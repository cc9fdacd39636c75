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
import { type Block, BlockTable, DESCRIPTOR_BYTES, pageOf, tablePlaces } from './block-table.ts';
import { type DecodeTables, FRAME, KEPT, keyOfMode } from './decode-tables.ts';
import { type FormFacts, factsOf, type Handlers, NOT_KNOWN } from './handlers.ts';
import { JumpCache } from './jump-cache.ts';
import {
  ASKS,
  ASKS_CLASS,
  ASKS_TEMPLATE,
  ENDS_BRANCH,
  ENDS_FALL,
  ENDS_JUMP,
  F_AT,
  F_DECODED,
  F_FROM,
  F_KEY,
  F_KNOWN,
  F_LEFT,
  F_POOL,
  F_POOL_LAST,
  type QuickDecode,
  READ_AHEAD,
} from './quick-decode.ts';
import {
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
/** Of one block: its descriptor, head, records and end. */
const MOST_BYTES = DESCRIPTOR_BYTES + (MAX_BLOCK + 2) * RECORD_BYTES;

/** Why no block could be made: the bytes are no instruction, or not one of ours. */
export type Failure = 'undefined' | 'too-long' | 'second-page' | 'limit';

export class CodeCache {
  /** Counts blocks dropped, for --stats. */
  dropped = 0;
  /** Instructions that decode.ts decoded. */
  asked = 0;
  private readonly views: Views;
  private readonly layout: Layout;
  private readonly handlers: Handlers;
  private readonly mmu: Mmu;
  private readonly tables: DecodeTables;
  private readonly quick: QuickDecode | null;
  /** Told of every block that is dropped, if it was described to anybody. */
  onDrop: ((block: Block) => void) | null = null;
  private readonly heads: boolean;
  private readonly maxBlock: number;
  /** Why `decode` made no block last. */
  failure: Failure = 'undefined';
  private readonly table: BlockTable;
  private readonly jumps: JumpCache;
  /** Those of the table that somebody has asked for as objects. */
  private readonly described = new Map<number, Block>();
  /** Guest-physical addresses of instructions that must end their block: they touched MMIO or decoded code. */
  private readonly alone = new Set<number>();
  /** Where decoding is: see quick-decode.ts. */
  private readonly cursor = { at: 0, from: 0, known: 0, left: 0, key: 0 };
  private readonly poolStart: number;
  private readonly poolEnd: number;
  private decodedHere = 0;
  /** Word index of the frame of quick-decode.ts. */
  private readonly frame: number;
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
    this.table = new BlockTable(views, layout);
    this.jumps = new JumpCache(views, layout);
    this.partial = tablePlaces(layout).end;
    this.poolStart = this.partial + (MAX_BLOCK + 3) * RECORD_BYTES;
    this.poolEnd = layout.engine + layout.engineBytes;
    this.frame = (tables.at + FRAME) >> 2;
    this.poolNext = this.poolStart;
    views.u32[this.frame + (F_POOL_LAST >> 2)] = this.poolEnd - MOST_BYTES;
  }

  /** Counts blocks decoded, for --stats. */
  get decoded(): number {
    return this.decodedHere + (this.views.u32[this.frame + (F_DECODED >> 2)] as number);
  }

  private get poolNext(): number {
    return this.views.u32[this.frame + (F_POOL >> 2)] as number;
  }

  private set poolNext(at: number) {
    this.views.u32[this.frame + (F_POOL >> 2)] = at;
  }

  /** The first record of the block at this address; 0: there is none. */
  find(gpa: number, modeKey: number): number {
    return this.table.find(gpa >>> 0, modeKey);
  }

  /** Physical address in the second page that the block was decoded from; -1: it has one page. */
  secondPageOf(record: number): number {
    return this.table.gpa2(record);
  }

  /** The block whose first record this is, the same object each time; undefined: it has been dropped. */
  blockAt(record: number): Block | undefined {
    let block = this.described.get(record);
    if (!block) {
      if (this.table.isDead(record)) return undefined;
      block = this.table.describe(record);
      this.described.set(record, block);
    }
    return block;
  }

  isAlive(block: Block): boolean {
    return this.described.get(block.record) === block;
  }

  /** The blocks that begin in its page in its mode, nearest first. */
  blocksNear({ gpa, modeKey }: Block): Block[] {
    const { table } = this;
    const page = pageOf(gpa);
    const found: Block[] = [];
    for (let b = table.first(page); b !== 0; b = table.after(b, page)) {
      if (pageOf(table.gpa(b)) !== page || table.modeKey(b) !== modeKey) continue;
      const block = this.blockAt(b);
      if (block) found.push(block);
    }
    const distance = (b: Block) => Math.abs(b.gpa - gpa);
    return found.sort((a, b) => distance(a) - distance(b));
  }

  isAlone(gpa: number): boolean {
    return this.alone.has(gpa);
  }

  /** Puts a block where the hot function looks first. */
  remember(record: number): void {
    this.jumps.remember(this.table.gpa(record), this.table.modeKey(record), record);
  }

  /** As JumpCache.remembered. */
  remembered(gpa: number, modeKey: number): number {
    return this.jumps.remembered(gpa, modeKey);
  }

  /** As JumpCache.entryChanged. */
  entryChanged(block: Block): void {
    this.jumps.entryChanged(block.gpa, block.record);
  }

  /** True when the pool had to be emptied: records seen before are gone. */
  makeRoom(): boolean {
    const fits = this.poolNext + MOST_BYTES <= this.poolEnd;
    if (fits && this.handlers.hasRoom(MAX_BLOCK)) return false;
    this.dropAll();
    if (fits) this.handlers.forgetCold();
    return true;
  }

  dropAll(): void {
    for (let page = 0; page < this.layout.ramBytes; page += 0x1000)
      if (this.table.first(page) !== 0) this.unmarkPage(page);
    this.table.forgetSeen();
    this.dropped = this.decoded;
    const described = [...this.described.values()];
    this.described.clear();
    for (const b of described) this.onDrop?.(b);
    this.jumps.clear();
    this.poolNext = this.poolStart;
  }

  /**
   * Decodes the block at `gpa`. `second` gives the physical address of the next virtual page when the first instruction
   * crosses into it, or -1 after raising a fault. Gives its first record, or 0 and why not in `failure`.
   */
  decode(gpa: number, modeKey: number, second: () => number): number {
    const room = roomOf(modeKey);
    if ((gpa & 0xfff) >= room) return this.fail('limit');
    const mode = modeOf(modeKey);
    const otherStack = (modeKey & MODE_KEY_STACK) !== 0;
    const limited = (modeKey & MODE_KEY_LIMIT) !== 0;
    const { u8 } = this.views;
    const page = this.layout.ramBase + pageOf(gpa);
    const pageEnd = page + Math.min(room, 0x1000);
    const first = this.poolNext + DESCRIPTOR_BYTES;
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
        if (d.failure !== 'truncated') return this.fail(d.failure);
        if (room <= 0x1000) return this.fail('limit');
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
    const { frame } = this;
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

  private fail(why: Failure): 0 {
    this.failure = why;
    return 0;
  }

  /** The cursor is behind the block's last instruction. */
  private closeAt(first: number, gpa: number, modeKey: number, chains: number): number {
    const gpaEnd = this.cursor.from - this.layout.ramBase;
    this.countDown(this.heads ? first + RECORD_BYTES : first);
    if (this.heads) writeHead(this.views, first);
    return this.close(first, gpa, gpaEnd, -1, modeKey, chains);
  }

  /** How many instructions are left, into each record of the block. */
  private countDown(first: number): void {
    const { u8 } = this.views;
    let left = 1;
    for (let at = this.cursor.at - RECORD_BYTES; at >= first; at -= RECORD_BYTES)
      u8[at + R_LEFT] = left++;
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

  /** Whether bytes of some block lie there. */
  hasCode(gpa: number, bytes: number): boolean {
    return this.table.hasCode(gpa, bytes);
  }

  /** Drops the blocks that these bytes belong to. */
  written(gpa: number, bytes: number): void {
    for (let frame = gpa >>> 12; frame <= (gpa + bytes - 1) >>> 12; frame++)
      this.writtenIn(frame * 4096, gpa, bytes);
  }

  private writtenIn(page: number, gpa: number, bytes: number): void {
    const { table } = this;
    const before = this.dropped;
    let previous = 0;
    for (let b = table.first(page); b !== 0; ) {
      const next = table.after(b, page);
      if (table.touches(b, gpa, bytes)) {
        table.unlink(b, previous, page);
        this.drop(b, page);
      } else {
        previous = b;
      }
      b = next;
    }
    if (this.dropped !== before) this.tidy(page);
  }

  /** It is out of this page's list. */
  private drop(record: number, page: number): void {
    const { i32 } = this.views;
    const { table } = this;
    const gpa = table.gpa(record);
    this.jumps.forget(gpa, record);
    table.kill(record);
    this.dropped++;
    // It may be running: nothing may lead from its end into other dropped blocks.
    const last = table.last(record);
    const chains = table.chains(record);
    if (chains > 0) i32[(last + R_CHAIN) >> 2] = 0;
    if (chains > 1) i32[(last + R_FALL_CHAIN) >> 2] = 0;
    const block = this.described.get(record);
    if (block) {
      this.described.delete(record);
      this.onDrop?.(block);
    }
    const other = pageOf(gpa) === page ? table.gpa2(record) : gpa;
    if (other < 0 || pageOf(other) === page) return;
    table.remove(record, pageOf(other));
    this.tidy(pageOf(other));
  }

  /** Blocks chain within their page only: those that are left there must not lead into dropped ones. */
  private tidy(page: number): void {
    const { i32 } = this.views;
    const { table } = this;
    for (let b = table.first(page); b !== 0; b = table.after(b, page)) {
      const last = table.last(b);
      const chains = table.chains(b);
      const at = (last + R_CHAIN) >> 2;
      const fall = (last + R_FALL_CHAIN) >> 2;
      if (chains > 0 && i32[at] !== 0 && table.isDead(i32[at] as number)) i32[at] = 0;
      if (chains > 1 && i32[fall] !== 0 && table.isDead(i32[fall] as number)) i32[fall] = 0;
    }
    if (table.first(page) === 0) this.unmarkPage(page);
    else table.remark(page);
  }

  private unmarkPage(page: number): void {
    this.mmu.clearFrame(page >>> 12, FRAME_CODE);
    this.table.unmark(page);
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
  private decodeCrossing(gpa: number, modeKey: number, second: () => number): number {
    const gpa2 = second();
    if (gpa2 < 0) return this.fail('second-page');
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
    if ('failure' in d && d.failure === 'truncated' && end15 < MAX_INSN) return this.fail('limit');
    if ('failure' in d) return this.fail(d.failure === 'truncated' ? 'too-long' : d.failure);
    const first = this.poolNext + DESCRIPTOR_BYTES;
    const at = first + RECORD_BYTES;
    const facts = factsOf(d);
    const { falls, branches } = facts.traits;
    this.put(at, d, facts, gpa & 0xfff, NOT_KNOWN, modeKey, bytes, 0);
    u8[at + R_LEFT] = 1;
    u8.copyWithin(first, at, at + RECORD_BYTES);
    u16[(first + R_HANDLER) >> 1] = HANDLER_GUARD;
    i32[(first + R_TARGET) >> 2] = gpa2 & ~0xfff;
    this.cursor.at = at + RECORD_BYTES;
    const chains = falls ? ENDS_FALL : branches ? ENDS_BRANCH : ENDS_JUMP;
    return this.close(first, gpa, gpa + d.length, gpa2, modeKey, chains);
  }

  /** Puts END at the cursor if the block falls through, and the block into the table. */
  private close(
    first: number,
    gpa: number,
    gpaEnd: number,
    gpa2: number,
    modeKey: number,
    chains: number,
  ): number {
    const { at } = this.cursor;
    const falls = chains === ENDS_FALL;
    const page = pageOf(gpa);
    if (falls) writeEnd(this.views, at, gpaEnd - page);
    this.poolNext = falls ? at + RECORD_BYTES : at;
    const end = Math.min(gpaEnd, page + 0x1000);
    const end2 = gpa2 < 0 ? -1 : pageOf(gpa2) + (gpaEnd & 0xfff);
    this.table.add(first, this.poolNext - RECORD_BYTES, chains, gpa, end, gpa2, end2, modeKey);
    this.decodedHere++;
    this.markFrame(gpa >>> 12);
    if (gpa2 >= 0) this.markFrame(gpa2 >>> 12);
    return first;
  }

  /** Stores to this frame have to be told from now on. */
  markFrame(frame: number): void {
    const attr = this.views.u8[this.layout.frameAttrs + frame] as number;
    if ((attr & FRAME_CODE) === 0) this.mmu.setFrame(frame, FRAME_CODE);
  }
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
