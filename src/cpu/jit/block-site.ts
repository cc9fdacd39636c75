// Where the JIT's code stands: operands are constants, registers and lazy flags live in locals, faults leave by one epilogue.

import { bug } from '../../base/errors.ts';
import type { Decoded } from '../decoded.ts';
import { fixedRegisterOffset } from '../interp/records.ts';
import type { RegRef, SegRef } from '../isa/ir.ts';
import { loadOf, storeOf } from '../lower/memory-ops.ts';
import type { Helpers, KnownFlags, Site } from '../lower/site.ts';
import { FIELDS, GPR_AT, SEG_AT, SEG_STRIDE } from '../state.ts';
import type { Code } from '../wasm/encode.ts';

const FLAG_FIELDS = ['flRes', 'flX', 'flAux', 'flOp'] as const;
type FlagField = (typeof FLAG_FIELDS)[number];

/** The locals of a block: a register is in one from its first use on, and stored again where the block is left. */
export class BlockLocals {
  readonly c: Code;
  readonly st: number;
  private readonly gprs = new Map<number, number>();
  private readonly dirty = new Set<number>();
  private readonly flags = new Map<FlagField, number>();
  private flagsDirty = false;

  constructor(c: Code, st: number) {
    this.c = c;
    this.st = st;
  }

  /** Loads every register that the block touches. Locals are set once, at entry, so that every path has them. */
  enter(registers: Iterable<number>, usesFlags: boolean): void {
    for (const n of registers) this.gprs.set(n, this.c.take('i64'));
    if (usesFlags) {
      for (const f of FLAG_FIELDS)
        this.flags.set(f, this.c.take(FIELDS[f].bits === 64 ? 'i64' : 'i32'));
    }
    this.reload();
  }

  gpr(n: number): number {
    return this.gprs.get(n) ?? bug(`register ${n} has no local`);
  }
  wroteGpr(n: number): void {
    this.dirty.add(n);
  }
  flag(f: FlagField): number {
    return this.flags.get(f) ?? bug(`${f} has no local`);
  }
  wroteFlags(): void {
    this.flagsDirty = true;
  }

  /** Stores what has been written so far: before leaving, and before a slow path. */
  spill(): void {
    const { c, st } = this;
    for (const n of this.dirty)
      c.get(st)
        .get(this.gpr(n))
        .mem('i64.store', GPR_AT + n * 8);
    if (!this.flagsDirty) return;
    for (const [f, local] of this.flags)
      c.get(st)
        .get(local)
        .mem(FIELDS[f].bits === 64 ? 'i64.store' : 'i32.store', FIELDS[f].at);
  }

  reload(): void {
    const { c, st } = this;
    for (const [n, local] of this.gprs)
      c.get(st)
        .mem('i64.load', GPR_AT + n * 8)
        .set(local);
    for (const [f, local] of this.flags)
      c.get(st)
        .mem(FIELDS[f].bits === 64 ? 'i64.load' : 'i32.load', FIELDS[f].at)
        .set(local);
  }
}

/** How a block is left. Labels are blocks of the function; each pops nothing. */
export interface BlockExits {
  /** Local that holds the index of the running instruction, for the fault epilogue. */
  readonly index: number;
  /** Label of the fault epilogue. */
  readonly fault: number;
  /** Sets RIP from the i64 on the stack and leaves. */
  jump(): void;
  ended(): void;
  again(): void;
}

export class BlockSite implements Site {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly knownFlags: KnownFlags | null;
  private readonly d: Decoded;
  private readonly index: number;
  /** RIP of the next instruction, and whether it must be added to a base at run time. */
  private readonly next: bigint;
  private readonly locals: BlockLocals;
  private readonly exits: BlockExits;
  private readonly skipTo: () => number;

  constructor(o: {
    c: Code;
    helpers: Helpers;
    st: number;
    tlb: number;
    known: KnownFlags | null;
    d: Decoded;
    index: number;
    next: bigint;
    locals: BlockLocals;
    exits: BlockExits;
    skipTo: () => number;
  }) {
    this.c = o.c;
    this.helpers = o.helpers;
    this.st = o.st;
    this.tlb = o.tlb;
    this.knownFlags = o.known;
    this.d = o.d;
    this.index = o.index;
    this.next = o.next;
    this.locals = o.locals;
    this.exits = o.exits;
    this.skipTo = o.skipTo;
  }

  pushReg(reg: RegRef): void {
    const { c } = this;
    if (reg.file !== 'gpr') {
      c.get(this.st).mem(loadOf(reg.width), this.offset(reg));
      return;
    }
    const n = this.number(reg);
    c.get(this.locals.gpr(n & 15));
    if (n >= 16) {
      c.i64(8n).op('i64.shr_u');
      c.op('i32.wrap_i64').i32(0xff).op('i32.and');
      return;
    }
    if (reg.width === 64) return;
    c.op('i32.wrap_i64');
    if (reg.width < 32) c.i32(reg.width === 8 ? 0xff : 0xffff).op('i32.and');
  }

  setReg(reg: RegRef, push: () => void): void {
    const { c } = this;
    if (reg.file !== 'gpr') {
      c.get(this.st);
      push();
      c.mem(storeOf(reg.width), this.offset(reg));
      return;
    }
    const n = this.number(reg);
    const local = this.locals.gpr(n & 15);
    const shift = n >= 16 ? 8n : 0n;
    if (reg.width < 32) {
      const mask = (reg.width === 8 ? 0xffn : 0xffffn) << shift;
      c.get(local).i64(~mask).op('i64.and');
    }
    push();
    if (reg.width < 64) c.op('i64.extend_i32_u');
    if (shift > 0n) c.i64(shift).op('i64.shl');
    if (reg.width < 32) c.op('i64.or');
    c.set(local);
    this.locals.wroteGpr(n & 15);
  }

  pushRegNumber(slot: number): void {
    this.c.i32(this.d.regs[slot] as number);
  }

  pushImm(n: number): void {
    const lo = this.d.immLo[n] as number;
    const hi = this.d.immHi[n] as number;
    this.c.i64((BigInt(hi) << 32n) | BigInt(lo >>> 0));
  }

  pushEa(): void {
    const { c, d } = this;
    const disp = (BigInt(d.dispHi) << 32n) | BigInt(d.disp >>> 0);
    c.i64(d.ripRelative ? BigInt.asIntN(64, this.next + disp) : disp);
    if (d.base >= 0) c.get(this.locals.gpr(d.base)).op('i64.add');
    if (d.index >= 0)
      c.get(this.locals.gpr(d.index)).i64(BigInt(d.scale)).op('i64.shl').op('i64.add');
    if (d.variant.asize === 32) c.i64(0xffffffffn).op('i64.and');
    else if (d.variant.asize === 16) c.i64(0xffffn).op('i64.and');
  }

  pushSegBase(seg: SegRef): boolean {
    const n = seg === 'operand' ? this.d.segment : seg;
    if (this.d.variant.mode === 64 && n < 4) return false;
    this.c.get(this.st).mem('i64.load', SEG_AT + n * SEG_STRIDE);
    return true;
  }

  readonly checksSegments = false;
  checkSegment(): void {}

  pushIsStack(seg: SegRef): void {
    this.c.i32((seg === 'operand' ? this.d.segment : seg) === 2 ? 1 : 0);
  }

  pushNext(): void {
    this.c.i64(this.next);
  }

  pushFlagField(name: 'flRes' | 'flX' | 'flAux'): void {
    this.c.get(this.locals.flag(name));
  }

  setFlagField(name: FlagField, push: () => void): void {
    push();
    this.c.set(this.locals.flag(name));
    this.locals.wroteFlags();
  }

  pushAllFlags(): void {
    this.locals.spill();
    this.c.get(this.st).call(this.helpers.flags);
  }

  noteInstruction(): void {
    this.c.i32(this.index).set(this.exits.index);
  }

  beforeSlow(): void {
    this.locals.spill();
  }

  afterSlow(): void {
    this.locals.reload();
  }

  leaveFaulted(): void {
    this.locals.spill();
    this.c.br(this.exits.fault);
  }

  /** What has been written before this instruction is spilled on the way out: the state at a fault is exact. */
  leaveFaultedIf(): void {
    this.c.iff();
    this.leaveFaulted();
    this.c.end();
  }

  branch(always: boolean, n: number): void {
    const lo = BigInt((this.d.immLo[n] as number) | 0);
    const { osize, mode } = this.d.variant;
    const width = osize === 16 ? 16 : mode === 64 ? 64 : 32;
    const target =
      width === 64 ? BigInt.asIntN(64, this.next + lo) : BigInt.asUintN(width, this.next + lo);
    if (always) {
      this.c.i64(target);
    } else {
      const taken = this.c.take('i32');
      this.c.set(taken).i64(target).i64(this.next).get(taken).op('select');
    }
    this.exits.jump();
  }

  jump(): void {
    this.exits.jump();
  }

  skip(): void {
    this.c.brIf(this.skipTo());
  }

  again(): void {
    this.c.iff();
    this.exits.again();
    this.c.end();
  }

  ended(): void {
    this.exits.ended();
  }

  private number(reg: RegRef): number {
    return reg.fixed ?? (this.d.regs[reg.slot] as number);
  }

  private offset(reg: RegRef): number {
    return fixedRegisterOffset({ ...reg, fixed: this.number(reg) });
  }
}
