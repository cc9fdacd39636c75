// Where tier 0's code stands: operands come from the record; a handler is a case of the hot function or a cold function.

import type { Decoded } from '../decoded.ts';
import type { RegRef, SegRef, Variant } from '../isa/ir.ts';
import { loadOf, storeOf } from '../lower/memory-ops.ts';
import type { FlagField, Helpers, KnownFlags, Site, SlowAccess } from '../lower/site.ts';
import { FIELDS, SEG_AT, SEG_STRIDE, ST_AT, XMM_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import type { HandlerSpec } from './module.ts';
import {
  fixedRegisterOffset,
  R_BASE,
  R_DISP,
  R_IMM,
  R_IMM1,
  R_INDEX,
  R_LENGTH,
  R_NEXT,
  R_REG,
  R_SCALE,
  R_SEGMENT,
  R_TARGET,
  type Shape,
} from './records.ts';

/** How the code around a handler goes on. Each is emitted where the instruction is over. */
export interface Exits {
  /** On to the next record. */
  next(): void;
  /** The i32 on the stack decides between the target and the fall-through of a branch record; `always`: target. */
  branch(always: boolean): void;
  /** The i64 on the stack is the new RIP. */
  jump(): void;
  /** RIP and everything else are in the state. */
  ended(): void;
  /** This record once more, if the budget allows. */
  again(): void;
  faulted(): void;
}

export interface SiteLocals {
  readonly st: number;
  readonly tlb: number;
  readonly rec: number;
}

export class RecordSite implements Site {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly knownFlags: KnownFlags | null;
  private readonly rec: number;
  private readonly shape: Shape;
  private readonly d: Decoded;
  private readonly branches: boolean;
  private readonly variant: Variant;
  private readonly hasImm1: boolean;
  private readonly exits: Exits;

  constructor(
    c: Code,
    helpers: Helpers,
    locals: SiteLocals,
    spec: Pick<HandlerSpec, 'd' | 'shape' | 'known' | 'branches'>,
    exits: Exits,
  ) {
    this.c = c;
    this.helpers = helpers;
    this.st = locals.st;
    this.tlb = locals.tlb;
    this.rec = locals.rec;
    this.shape = spec.shape;
    this.d = spec.d;
    this.branches = spec.branches;
    this.variant = spec.d.variant;
    this.hasImm1 = !spec.d.hasMem;
    this.knownFlags = spec.known;
    this.exits = exits;
  }

  pushReg(reg: RegRef): void {
    this.pushRegAddress(reg);
    this.c.mem(loadOf(reg.width), this.fixedOffset(reg));
  }

  setReg(reg: RegRef, push: () => void): void {
    this.pushRegAddress(reg);
    push();
    if (reg.file === 'gpr' && reg.width === 32)
      this.c.op('i64.extend_i32_u').mem('i64.store', this.fixedOffset(reg));
    else this.c.mem(storeOf(reg.width), this.fixedOffset(reg));
  }

  pushRegNumber(slot: number): void {
    this.pushField(R_REG + slot * 2);
    const o = this.d.operands.find((x) => x.kind === 'reg' && x.slot === slot);
    const file = o?.kind === 'reg' ? o.file : '';
    if (file === 'mm') this.c.i32(ST_AT).op('i32.sub').i32(4).op('i32.shr_u');
    else if (file === 'xmm') this.c.i32(XMM_AT).op('i32.sub').i32(4).op('i32.shr_u');
    else if (file === 'gpr') this.c.i32(3).op('i32.shr_u');
  }

  pushImm(n: number): void {
    const { c } = this;
    if (n === 0 && this.branches) {
      c.get(this.rec)
        .mem('i64.load32_s', R_TARGET)
        .get(this.rec)
        .mem('i64.load16_u', R_NEXT)
        .op('i64.sub');
    } else if (n === 0) c.get(this.rec).mem('i64.load', R_IMM);
    else if (this.hasImm1) this.c.get(this.rec).mem('i64.load32_s', R_IMM1);
    else this.c.op('unreachable');
  }

  pushEa(): void {
    const { c } = this;
    if (this.shape === 'a') {
      c.get(this.rec).mem('i64.load', R_IMM);
      return this.truncateEa();
    }
    c.get(this.st);
    this.pushField(R_BASE);
    c.op('i32.add').mem('i64.load', 0);
    if (this.shape !== 's') {
      c.get(this.st);
      this.pushField(R_INDEX);
      c.op('i32.add').mem('i64.load', 0);
      c.get(this.rec).mem('i64.load8_u', R_SCALE).op('i64.shl').op('i64.add');
    }
    c.get(this.rec).mem('i64.load32_s', R_DISP).op('i64.add');
    this.truncateEa();
  }

  private truncateEa(): void {
    const { c } = this;
    if (this.variant.asize === 32) c.i64(0xffffffffn).op('i64.and');
    else if (this.variant.asize === 16) c.i64(0xffffn).op('i64.and');
  }

  pushSegBase(seg: SegRef): boolean {
    const { c } = this;
    if (seg === 'operand') {
      if (this.shape === 's') return false;
      c.get(this.st);
      this.pushField(R_SEGMENT);
      c.op('i32.add').mem('i64.load', 0);
      return true;
    }
    if (this.variant.mode === 64 && seg < 4) return false;
    c.get(this.st).mem('i64.load', SEG_AT + seg * SEG_STRIDE);
    return true;
  }

  get checksSegments(): boolean {
    return this.shape === 'c';
  }

  checkSegment(seg: SegRef, offset: number, bytes: number, writes: boolean): void {
    const { c } = this;
    this.noteInstruction();
    if (seg === 'operand') {
      this.pushField(R_SEGMENT);
      c.i32(SEG_AT).op('i32.sub').i32(SEG_STRIDE).op('i32.div_u');
    } else {
      c.i32(seg);
    }
    c.get(offset)
      .op('i32.wrap_i64')
      .i32(bytes)
      .i32(writes ? 1 : 0)
      .call(this.helpers.segment);
    this.leaveFaultedIf();
  }

  /** A base of rSP or rBP makes it #SS in 64-bit code; elsewhere the segment itself says so. */
  pushIsStack(seg: SegRef): void {
    const { c } = this;
    if (seg !== 'operand') {
      c.i32(seg === 2 ? 1 : 0);
      return;
    }
    this.pushField(R_BASE);
    c.i32(4 * 8).op('i32.eq');
    this.pushField(R_BASE);
    c.i32(5 * 8)
      .op('i32.eq')
      .op('i32.or');
    if (this.shape !== 's') {
      // A segment override (or FS, GS) takes the access away from SS.
      this.pushField(R_SEGMENT);
      c.i32(SEG_AT + 4 * SEG_STRIDE)
        .op('i32.lt_u')
        .op('i32.and');
    }
  }

  pushNext(): void {
    const { c } = this;
    c.get(this.st).mem('i64.load', FIELDS.ripPage.at);
    c.get(this.rec).mem('i64.load16_u', R_NEXT).op('i64.add');
    if (this.variant.mode !== 64) c.i64(0xffffffffn).op('i64.and');
  }

  pushLength(): void {
    this.c.get(this.rec).mem('i64.load8_u', R_LENGTH);
  }

  pushFlagField(name: FlagField): void {
    this.c.get(this.st).mem(FIELDS[name].bits === 64 ? 'i64.load' : 'i32.load', FIELDS[name].at);
  }

  setFlagField(name: FlagField, push: () => void): void {
    this.c.get(this.st);
    push();
    this.c.mem(FIELDS[name].bits === 64 ? 'i64.store' : 'i32.store', FIELDS[name].at);
  }

  pushAllFlags(): void {
    this.c.get(this.st).call(this.helpers.flags);
  }

  slowAccess(kind: SlowAccess, va: number, bytes: number, seg: SegRef): void {
    this.noteInstruction();
    this.c.get(va).op('f64.convert_i64_s').i32(bytes);
    this.pushIsStack(seg);
    this.c.call(this.helpers[kind]);
  }

  beforeSlow(): void {}

  afterSlow(): void {}

  noteInstruction(): void {
    this.c.get(this.st).get(this.rec).mem('i32.store', FIELDS.rec.at);
  }

  leaveFaulted(): void {
    this.exits.faulted();
  }

  leaveFaultedIf(): void {
    this.c.iff();
    this.exits.faulted();
    this.c.end();
  }

  branch(always: boolean, _n: number): void {
    this.exits.branch(always);
  }

  /** RIP of a branch record's target. */
  pushTarget(): void {
    pushTarget(this.c, this.st, this.rec, this.variant.mode, this.variant.osize);
  }

  jump(): void {
    this.exits.jump();
  }

  skip(): void {
    this.c.iff();
    this.exits.next();
    this.c.end();
  }

  again(): void {
    this.c.iff();
    this.exits.again();
    this.c.end();
  }

  ended(): void {
    this.exits.ended();
  }

  private pushField(at: number): void {
    this.c.get(this.rec).mem('i32.load16_u', at);
  }

  private pushRegAddress(reg: RegRef): void {
    this.c.get(this.st);
    if (reg.fixed !== undefined) return;
    this.pushField(R_REG + reg.slot * 2);
    this.c.op('i32.add');
  }

  private fixedOffset(reg: RegRef): number {
    return reg.fixed === undefined ? 0 : fixedRegisterOffset(reg);
  }
}

/** Leaves the RIP that a branch record's target has, truncated as the operand size says. */
export function pushTarget(c: Code, st: number, rec: number, mode: number, osize: number): void {
  c.get(st).mem('i64.load', FIELDS.ripPage.at);
  c.get(rec).mem('i64.load32_s', R_TARGET).op('i64.add');
  if (osize === 16) c.i64(0xffffn).op('i64.and');
  else if (mode !== 64) c.i64(0xffffffffn).op('i64.and');
}
