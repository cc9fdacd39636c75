// Where the JIT's code stands: operands are constants, registers live in the state, what a block has seen of them in locals.

import { bug } from '../../base/errors.ts';
import type { Decoded } from '../decoded.ts';
import type { RegRef, SegRef, Value, Width } from '../isa/ir.ts';
import { ADDEND, emitEntry, emitHit, READ_TAG, WRITE_TAG } from '../lower/access.ts';
import type { FlagField, Helpers, KnownFlags, Site } from '../lower/site.ts';
import { FIELDS, SEG_AT, SEG_STRIDE } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import type { FlagsKnown } from './flags.ts';
import type { Group, Member } from './merged-checks.ts';
import { addressKey, type PageCaches } from './page-cache.ts';
import type { Registers } from './registers.ts';
import { registerNumber } from './residents.ts';

const SEG_CS = 1;
const SEG_SS = 2;
const SEG_FS = 4;

/** How a region's instructions are left, and what they share. */
export interface Exits {
  /** The end of a relative branch: to `offset` in the page, or behind the instruction; the i32 on the stack decides unless `always`. */
  branch(always: boolean, offset: number): void;
  /** The i64 on the stack is the new RIP. */
  jump(): void;
  /** RIP and everything else are in the state. */
  ended(): void;
  /** The instruction once more, if the budget allows. */
  again(): void;
  /** Where a fault that has been raised leaves; and one of a slow path that has left everything in the state. */
  readonly faultLabel: number;
  readonly settledFaultLabel: number;
  /** To tier 0, which does the instruction from its beginning. */
  readonly elsewhereLabel: number;
  /** Something may look at the state: the budget is wanted there. */
  noted(): void;
  /** A slow path has run: the budget may have changed. */
  afterSlow(): void;
}

/** What all instructions of a region have in common. */
export interface Ground {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly mode: 32 | 64;
  /** ES, SS and DS need no checks (`isFlatData`). */
  readonly flat: boolean;
  readonly registers: Registers;
  readonly pages: PageCaches | null;
}

/** One instruction of a block. `offset`: of its first byte in the page; `record`: tier 0's. */
export interface Placed {
  readonly d: Decoded;
  readonly offset: number;
  readonly record: number;
  /** Its accesses that share a check with others. */
  readonly members: readonly Member[] | null;
}

export class StateSite implements Site {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly knownFlags: KnownFlags | null;
  private readonly full: boolean;
  private readonly g: Ground;
  private readonly at: Placed;
  private readonly exits: Exits;
  private readonly skipTo: number;
  private readonly level: number;
  /** A slow path has finished the instruction: what locals hold is old. */
  private settled = false;

  /** `skipTo`: label of the instruction's end. */
  constructor(g: Ground, at: Placed, exits: Exits, known: FlagsKnown, skipTo: number) {
    this.g = g;
    this.c = g.c;
    this.helpers = g.helpers;
    this.st = g.st;
    this.tlb = g.tlb;
    this.at = at;
    this.exits = exits;
    this.skipTo = skipTo;
    this.level = g.c.level;
    this.full = known === 'full';
    this.knownFlags = known === 'full' ? null : known;
  }

  pushReg(reg: RegRef): void {
    this.g.registers.read(reg, registerNumber(reg, this.at.d));
  }

  setReg(reg: RegRef, push: () => void): void {
    this.g.registers.write(reg, registerNumber(reg, this.at.d), push);
  }

  pushRegNumber(slot: number): void {
    this.c.i32(this.at.d.regs[slot] as number);
  }

  pushImm(n: number): void {
    const { immLo, immHi } = this.at.d;
    this.c.i64Halves(immLo[n as 0 | 1], immHi[n as 0 | 1]);
  }

  pushNarrowImm(n: number, width: Width): boolean {
    const lo = this.at.d.immLo[n as 0 | 1];
    this.c.i32(width === 32 ? lo : lo & ((1 << width) - 1));
    return true;
  }

  pushSignedImm(n: number, from: Width, to: Width): boolean {
    const away = 32 - Math.min(from, 32);
    const value = ((this.at.d.immLo[n as 0 | 1] as number) << away) >> away;
    if (to === 64) this.c.i64Halves(value, value >> 31);
    else this.c.i32(to === 32 ? value : value & ((1 << to) - 1));
    return true;
  }

  pushEa(): void {
    const { c, g } = this;
    const { d } = this.at;
    let pushed = true;
    if (d.base >= 0) g.registers.push(d.base);
    else if (d.ripRelative) this.pushPage(this.at.offset + d.length + d.disp);
    else pushed = false;
    if (d.index >= 0) {
      g.registers.push(d.index);
      if (d.scale > 0) c.i64Halves(d.scale, 0).op('i64.shl');
      if (pushed) c.op('i64.add');
      pushed = true;
    }
    if (!pushed) c.i64Halves(d.disp, d.dispHi);
    else if (d.disp !== 0 && !d.ripRelative) c.i64Halves(d.disp, d.dispHi).op('i64.add');
    if (d.variant.asize === 32) c.i64Halves(-1, 0).op('i64.and');
    else if (d.variant.asize === 16) c.i64Halves(0xffff, 0).op('i64.and');
  }

  pushSegBase(seg: SegRef): boolean {
    const n = this.segment(seg);
    if (n < SEG_FS && (this.g.mode === 64 || this.isFlat(n))) return false;
    this.c.get(this.st).mem('i64.load', SEG_AT + n * SEG_STRIDE);
    return true;
  }

  get checksSegments(): boolean {
    return this.g.mode !== 64;
  }

  checkSegment(seg: SegRef, offset: number, bytes: number, writes: boolean): void {
    const n = this.segment(seg);
    if (this.isFlat(n)) return;
    this.noteInstruction();
    this.c
      .i32(n)
      .get(offset)
      .op('i32.wrap_i64')
      .i32(bytes)
      .i32(writes ? 1 : 0)
      .call(this.helpers.segment);
    this.leaveFaultedIf();
  }

  pushIsStack(seg: SegRef): void {
    this.c.i32(this.segment(seg) === SEG_SS ? 1 : 0);
  }

  pushNext(): void {
    this.pushPage(this.at.offset + this.at.d.length);
    this.truncate();
  }

  pushLength(): void {
    this.c.i64(BigInt(this.at.d.length));
  }

  pushFlagField(name: FlagField): void {
    this.g.registers.pushFlag(name);
  }

  setFlagField(name: FlagField, push: () => void): void {
    this.g.registers.writeFlag(name, push);
  }

  pushAllFlags(): void {
    if (this.full) return this.pushFlagField('flAux');
    this.g.registers.settleFlags();
    this.c.get(this.st).call(this.helpers.flags);
  }

  noteInstruction(): void {
    this.c.get(this.st).i32(this.at.record).mem('i32.store', FIELDS.rec.at);
    this.exits.noted();
  }

  beforeSlow(): void {
    this.g.registers.beforeSlow();
  }

  afterSlow(ends: boolean): void {
    this.settled = ends;
    this.g.registers.afterSlow(ends);
    if (!ends) this.exits.afterSlow();
  }

  sharedHost(addr: Value, va: () => number): number {
    const { c } = this;
    const member = this.at.members?.find((m) => m.addr === addr.id);
    if (!member) return -1;
    const { group, at } = member;
    if (group.host < 0) {
      if (c.level !== this.level) return -1; // It would not hold for what comes later.
      this.check(group, at, va());
    }
    c.get(group.host);
    return at - group.lo;
  }

  /** That the TLB has all that the group asks for, of which local `va` is the address of `at`. */
  private check(group: Group, at: number, va: number): void {
    const { c } = this;
    const from = c.take('i64');
    c.get(va);
    if (at !== group.lo) c.i64Halves(group.lo - at, -1).op('i64.add');
    c.set(from);
    this.pushAddend(from, group.hi - group.lo, group.writes);
    group.host = c.take('i32');
    c.get(from).op('i32.wrap_i64').op('i32.add').set(group.host);
    c.release('i64', from);
  }

  hostOf(addr: Value, seg: SegRef, va: number, bytes: number, writes: boolean): void {
    const { c, g } = this;
    if (g.pages) {
      const key = addressKey(addr, seg, this.at.d, writes);
      if (g.pages.hostOf(key, va, bytes, () => this.pushAddend(va, bytes, writes))) return;
    }
    this.pushAddend(va, bytes, writes);
    c.get(va).op('i32.wrap_i64').op('i32.add');
  }

  /** Leaves the addend of the TLB entry that has the whole access; without one, tier 0 does the instruction. */
  private pushAddend(va: number, bytes: number, writes: boolean): void {
    const { c } = this;
    const entry = c.take('i32');
    emitEntry(c, this.tlb, va, entry);
    emitHit(c, va, entry, bytes, writes ? WRITE_TAG : READ_TAG);
    c.op('i32.eqz').brIf(this.exits.elsewhereLabel);
    c.get(entry).mem('i32.load', ADDEND);
    c.release('i32', entry);
  }

  elsewhere(): void {
    this.c.br(this.exits.elsewhereLabel);
  }

  elsewhereIf(): void {
    this.c.brIf(this.exits.elsewhereLabel);
  }

  slowAccess(): void {
    bug('translated code has no slow accesses');
  }

  leaveFaulted(): void {
    this.c.br(this.faultLabel);
  }

  leaveFaultedIf(): void {
    this.c.brIf(this.faultLabel);
  }

  private get faultLabel(): number {
    return this.settled ? this.exits.settledFaultLabel : this.exits.faultLabel;
  }

  branch(always: boolean, n: number): void {
    const { c } = this;
    const { d, offset } = this.at;
    const target = offset + d.length + d.immLo[n as 0 | 1];
    if (d.variant.osize !== 16) return this.exits.branch(always, target);
    // Truncated to 16 bits: never within the page by itself.
    if (!always) c.iff();
    this.pushPage(target);
    c.i64Halves(0xffff, 0).op('i64.and');
    this.exits.jump();
    if (always) return;
    c.end();
    this.pushNext();
    this.exits.jump();
  }

  jump(): void {
    this.exits.jump();
  }

  skip(): void {
    this.c.brIf(this.skipTo);
  }

  again(): void {
    this.c.iff();
    this.exits.again();
    this.c.end();
  }

  ended(): void {
    this.exits.ended();
  }

  /** Leaves RIP of byte 0 of the page, and `offset` more. */
  private pushPage(offset: number): void {
    this.c.get(this.st).mem('i64.load', FIELDS.ripPage.at);
    if (offset !== 0) this.c.i64Halves(offset, offset < 0 ? -1 : 0).op('i64.add');
  }

  private truncate(): void {
    if (this.g.mode !== 64) this.c.i64Halves(-1, 0).op('i64.and');
  }

  private segment(seg: SegRef): number {
    return seg === 'operand' ? this.at.d.segment : seg;
  }

  private isFlat(n: number): boolean {
    return this.g.flat && n !== SEG_CS && n < SEG_FS;
  }
}
