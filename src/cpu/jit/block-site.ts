// Where the JIT's code stands: operands are constants, registers and lazy flags live in locals, faults leave by one epilogue.

import { fixedRegisterOffset } from '../interp/records.ts';
import type { RegRef, SegRef } from '../isa/ir.ts';
import { loadOf, storeOf } from '../lower/memory-ops.ts';
import type { FlagField, Helpers, KnownFlags, Site } from '../lower/site.ts';
import { FIELDS, SEG_AT, SEG_STRIDE } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import type { FlagsKnown } from './flags.ts';
import type { BlockLocals } from './locals.ts';
import { type BlockInsn, registerPlace } from './plan.ts';

const SEG_CS = 1;
const SEG_SS = 2;
const SEG_FS = 4;

/** How a block is left, and what all its instructions share. */
export interface BlockFrame {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly locals: BlockLocals;
  /** ES, SS and DS need no checks (`isFlatData`). */
  readonly flat: boolean;
  /** Leaves RIP of the byte `offset` bytes behind the block's first, i64. */
  pushRip(offset: number): void;
  /** Leaves the relative target `by` bytes from there, truncated to `bits`. */
  pushTarget(offset: number, by: bigint, bits: 16 | 32 | 64): void;
  /** Notes which instruction runs: `index` is what the site was made with. */
  note(index: number, offset: number): void;
  /** The end of a relative branch, `by` bytes from behind it; the i32 on the stack decides unless `always`. Absent: by RIP. */
  branch?(always: boolean, by: number): void;
  /** Goes to the fault epilogue. */
  fault(): void;
  /** Takes RIP from the stack and leaves. */
  jump(): void;
  /** RIP and everything else are in the state: leaves. */
  ended(): void;
  /** Once more, if the budget allows; `at`: this instruction. */
  again(at: number): void;
}

/** One instruction of a block. */
export class BlockSite implements Site {
  readonly c: Code;
  readonly helpers: Helpers;
  readonly st: number;
  readonly tlb: number;
  readonly knownFlags: KnownFlags | null;
  private readonly full: boolean;
  private readonly f: BlockFrame;
  private readonly insn: BlockInsn;
  private readonly index: number;
  private readonly skipTo: number;
  /** No `skip` so far: what follows runs on every path. */
  private certain = true;

  /** `index`: of the instruction in its block. `skipTo`: label of its end. */
  constructor(f: BlockFrame, insn: BlockInsn, index: number, known: FlagsKnown, skipTo: number) {
    this.f = f;
    this.c = f.c;
    this.helpers = f.helpers;
    this.st = f.st;
    this.tlb = f.tlb;
    this.insn = insn;
    this.index = index;
    this.skipTo = skipTo;
    this.full = known === 'full';
    this.knownFlags = known === 'full' ? null : known;
  }

  pushReg(reg: RegRef): void {
    const { c } = this;
    const place = registerPlace(reg, this.insn.d.regs);
    if (place === null) {
      c.get(this.st).mem(loadOf(reg.width), this.offset(reg));
      return;
    }
    c.get(this.f.locals.of(place));
    if (reg.file === 'xmm') return this.lowOf(reg.width);
    if (this.isHighByte(reg)) c.i64(8n).op('i64.shr_u');
    if (reg.width === 64) return;
    c.op('i32.wrap_i64');
    if (reg.width < 32) c.i32(reg.width === 8 ? 0xff : 0xffff).op('i32.and');
  }

  setReg(reg: RegRef, push: () => void): void {
    const { c } = this;
    const place = registerPlace(reg, this.insn.d.regs);
    if (place === null) {
      c.get(this.st);
      push();
      c.mem(storeOf(reg.width), this.offset(reg));
      return;
    }
    const local = this.f.locals.of(place);
    if (reg.file === 'xmm') this.mergeXmm(local, reg.width, push);
    else this.mergeGpr(local, reg, push);
    c.set(local);
    this.f.locals.wrote(place);
  }

  private mergeGpr(local: number, reg: RegRef, push: () => void): void {
    const { c } = this;
    const shift = this.isHighByte(reg) ? 8n : 0n;
    const mask = (reg.width === 8 ? 0xffn : 0xffffn) << shift;
    if (reg.width < 32) c.get(local).i64(~mask).op('i64.and');
    push();
    if (reg.width < 64) c.op('i64.extend_i32_u');
    if (shift > 0n) c.i64(shift).op('i64.shl');
    if (reg.width < 32) c.op('i64.or');
  }

  private mergeXmm(local: number, width: number, push: () => void): void {
    if (width < 128) this.c.get(local);
    push();
    if (width < 128) this.c.op(`${LANE[width]}.replace_lane`, 0);
  }

  private lowOf(width: number): void {
    const unsigned = width < 32 ? '_u' : '';
    if (width < 128) this.c.op(`${LANE[width]}.extract_lane${unsigned}`, 0);
  }

  pushRegNumber(slot: number): void {
    this.c.i32(this.insn.d.regs[slot] as number);
  }

  pushImm(n: number): void {
    const { immLo, immHi } = this.insn.d;
    this.c.i64(join(immLo[n as 0 | 1], immHi[n as 0 | 1]));
  }

  pushEa(): void {
    const { c } = this;
    const { d } = this.insn;
    const { locals } = this.f;
    const disp = join(d.disp, d.dispHi);
    let pushed = true;
    if (d.base >= 0) c.get(locals.of(`gpr${d.base}`));
    else if (d.ripRelative) this.f.pushTarget(this.insn.offset + d.length, disp, 64);
    else pushed = false;
    if (d.index >= 0) {
      c.get(locals.of(`gpr${d.index}`));
      if (d.scale > 0) c.i64(BigInt(d.scale)).op('i64.shl');
      if (pushed) c.op('i64.add');
      pushed = true;
    }
    if (!pushed) c.i64(disp);
    else if (disp !== 0n && !d.ripRelative) c.i64(disp).op('i64.add');
    if (d.variant.asize === 32) c.i64(0xffffffffn).op('i64.and');
    else if (d.variant.asize === 16) c.i64(0xffffn).op('i64.and');
  }

  pushSegBase(seg: SegRef): boolean {
    const n = this.segment(seg);
    if (n < SEG_FS && (this.insn.d.variant.mode === 64 || this.isFlat(n))) return false;
    this.c.get(this.st).mem('i64.load', SEG_AT + n * SEG_STRIDE);
    return true;
  }

  get checksSegments(): boolean {
    return this.insn.d.variant.mode !== 64;
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
    this.f.pushRip(this.insn.offset + this.insn.d.length);
  }

  pushFlagField(name: FlagField): void {
    if (this.f.locals.has(name)) {
      this.c.get(this.f.locals.of(name));
      return;
    }
    this.c.get(this.st).mem(FIELDS[name].bits === 64 ? 'i64.load' : 'i32.load', FIELDS[name].at);
  }

  setFlagField(name: FlagField, push: () => void): void {
    push();
    this.c.set(this.f.locals.of(name));
    this.f.locals.wrote(name);
  }

  pushAllFlags(): void {
    if (this.full) return this.pushFlagField('flAux');
    this.f.locals.spillFlags();
    this.c.get(this.st).call(this.helpers.flags);
  }

  noteInstruction(): void {
    this.f.note(this.index, this.insn.offset);
  }

  beforeSlow(): void {
    this.f.locals.spill(this.certain);
  }

  afterSlow(ends: boolean): void {
    if (!ends) this.f.locals.reload();
  }

  leaveFaulted(): void {
    this.f.fault();
  }

  leaveFaultedIf(): void {
    this.c.iff();
    this.f.fault();
    this.c.end();
  }

  branch(always: boolean, n: number): void {
    const { c } = this;
    const { osize, mode } = this.insn.d.variant;
    const end = this.insn.offset + this.insn.d.length;
    const by = BigInt(this.insn.d.immLo[n as 0 | 1]);
    const bits = osize === 16 ? 16 : mode === 64 ? 64 : 32;
    if (this.f.branch && bits !== 16) return this.f.branch(always, Number(by));
    const target = () => this.f.pushTarget(end, by, bits);
    if (always) {
      target();
    } else {
      const taken = c.take('i32');
      c.set(taken);
      target();
      this.pushNext();
      c.get(taken).op('select');
    }
    this.f.jump();
  }

  jump(): void {
    this.f.jump();
  }

  skip(): void {
    this.certain = false;
    this.c.brIf(this.skipTo);
  }

  again(): void {
    this.c.iff();
    this.f.again(this.insn.offset);
    this.c.end();
  }

  ended(): void {
    this.f.ended();
  }

  private isHighByte(reg: RegRef): boolean {
    return (reg.fixed ?? (this.insn.d.regs[reg.slot] as number)) >= 16;
  }

  private segment(seg: SegRef): number {
    return seg === 'operand' ? this.insn.d.segment : seg;
  }

  private isFlat(n: number): boolean {
    return this.f.flat && n !== SEG_CS && n < SEG_FS;
  }

  private offset(reg: RegRef): number {
    const fixed = reg.fixed ?? (this.insn.d.regs[reg.slot] as number);
    return fixedRegisterOffset({ ...reg, fixed });
  }
}

const LANE: Readonly<Record<number, string>> = {
  8: 'i8x16',
  16: 'i16x8',
  32: 'i32x4',
  64: 'i64x2',
};

/** Halves of a sign-extended 64-bit number. */
function join(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}
