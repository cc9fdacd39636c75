// Pieces of the x87 helper module: registers of the stack, unpacked operands, rounding, memory through the TLB.

import {
  DATA_TLB_ENTRIES,
  DATA_TLB_FOLD,
  DATA_TLB_STRIDE,
  FIELDS,
  type FieldName,
  ST_AT,
} from '../state.ts';
import type { Code } from '../wasm/encode.ts';

/** Parameters of every function here. */
export const ST = 0;
export const CODE = 1;
export const OPERAND = 2;
export const FIP = 3;
export const FDP = 4;

/** FCW: precision mask, precision control, rounding control. SDM 1 figure 8-6. */
export const FCW_PM = 0x20;
export const FCW_PC = 0x300;
export const FCW_RC = 0xc00;
/** FSW: precision flag; C1, which tells which way it was rounded; the top of the stack. */
const FSW_PE = 0x20;
const FSW_C1 = 0x200;
const FSW_CODES = 0x4700;
const TOP_SHIFT = 11;
/** In `CODE`: `FDP` is the offset of a memory operand. */
const HAS_MEMORY = 1 << 16;

const MOST = 0x7fff;
const SIGN = 0x8000;
export const INTEGER_BIT = 1n << 63n;
/** Exponent of 1.0. */
export const BIAS = 0x3fff;

/** A number as sign (bit 15), biased exponent, significand with its integer bit; zero is 0, 0. In locals. */
export interface Unpacked {
  readonly s: number;
  readonly e: number;
  readonly m: number;
}

/** Emits one function. What it cannot do it leaves by `fail`, before anything is written. */
export class X87Code {
  readonly c: Code;

  constructor(c: Code) {
    this.c = c;
  }

  /** Not done: the slow path is to do it. */
  failIf(): void {
    this.c.iff();
    this.c.i32(0).op('return').end();
  }

  done(): void {
    this.c.i32(1).op('return');
  }

  field(name: FieldName): void {
    const { at, bits } = FIELDS[name];
    this.c.get(ST).mem(bits === 64 ? 'i64.load' : bits === 16 ? 'i32.load16_u' : 'i32.load', at);
  }

  setField(name: FieldName, push: () => void): void {
    const { at, bits } = FIELDS[name];
    this.c.get(ST);
    push();
    this.c.mem(bits === 64 ? 'i64.store' : bits === 16 ? 'i32.store16' : 'i32.store', at);
  }

  /** Only with these bits of the control word. */
  control(mask: number, value: number): void {
    this.field('fcw');
    this.c.i32(mask).op('i32.and').i32(value).op('i32.ne');
    this.failIf();
  }

  /** A local with the physical number of ST(i). */
  physical(pushIndex: () => void): number {
    const { c } = this;
    const n = c.take('i32');
    this.field('fsw');
    c.i32(TOP_SHIFT).op('i32.shr_u');
    pushIndex();
    c.op('i32.add').i32(7).op('i32.and').set(n);
    return n;
  }

  /** The same, which must not be empty. */
  used(pushIndex: () => void): number {
    const n = this.physical(pushIndex);
    this.tag(n);
    this.c.op('i32.eqz');
    this.failIf();
    return n;
  }

  private tag(n: number): void {
    this.field('ftw');
    this.c.get(n).op('i32.shr_u').i32(1).op('i32.and');
  }

  /** Address of a physical register, for `ST_AT` as offset. */
  address(n: number): void {
    this.c.get(n).i32(4).op('i32.shl').get(ST).op('i32.add');
  }

  significand(n: number): void {
    this.address(n);
    this.c.mem('i64.load', ST_AT);
  }
  signAndExponent(n: number): void {
    this.address(n);
    this.c.mem('i32.load16_u', ST_AT + 8);
  }

  setRegister(n: number, pushSig: () => void, pushSe: () => void): void {
    this.address(n);
    pushSig();
    this.c.mem('i64.store', ST_AT);
    this.address(n);
    pushSe();
    this.c.mem('i32.store16', ST_AT + 8);
  }

  unpacked(): Unpacked {
    const { c } = this;
    return { s: c.take('i32'), e: c.take('i32'), m: c.take('i64') };
  }

  /** A register: normal or zero, else not for here. */
  unpackRegister(n: number): Unpacked {
    const { c } = this;
    const v = this.unpacked();
    this.signAndExponent(n);
    c.tee(v.s).i32(MOST).op('i32.and').set(v.e);
    c.get(v.s).i32(SIGN).op('i32.and').set(v.s);
    this.significand(n);
    c.tee(v.m).i64(0n).op('i64.lt_s');
    c.get(v.e)
      .i32(1)
      .op('i32.sub')
      .i32(MOST - 1)
      .op('i32.lt_u')
      .op('i32.and');
    c.get(v.e).op('i64.extend_i32_u').get(v.m).op('i64.or').op('i64.eqz').op('i32.or');
    c.op('i32.eqz');
    this.failIf();
    return v;
  }

  /** The operand's bits in single or double precision. */
  unpackFloat(v: Unpacked, fraction: 23 | 52): void {
    const { c } = this;
    const width = fraction === 23 ? 32 : 64;
    const most = fraction === 23 ? 0xff : 0x7ff;
    c.get(OPERAND)
      .i64(BigInt(width - 1))
      .op('i64.shr_u')
      .op('i32.wrap_i64');
    c.i32(15).op('i32.shl').i32(SIGN).op('i32.and').set(v.s);
    c.get(OPERAND).i64(BigInt(fraction)).op('i64.shr_u').op('i32.wrap_i64');
    c.i32(most).op('i32.and').tee(v.e);
    c.i32(1)
      .op('i32.sub')
      .i32(most - 1)
      .op('i32.lt_u')
      .iff();
    c.get(OPERAND)
      .i64(BigInt(63 - fraction))
      .op('i64.shl')
      .i64(INTEGER_BIT)
      .op('i64.or')
      .set(v.m);
    c.get(v.e)
      .i32(BIAS - (most >> 1))
      .op('i32.add')
      .set(v.e);
    c.else();
    c.get(OPERAND)
      .i64(BigInt(65 - width))
      .op('i64.shl')
      .i64(0n)
      .op('i64.ne');
    this.failIf();
    c.i32(0).set(v.e).i64(0n).set(v.m);
    c.end();
  }

  /** The operand as a signed integer. */
  unpackInteger(v: Unpacked): void {
    const { c } = this;
    const zeros = c.take('i64');
    c.get(OPERAND).i64(48n).op('i64.shr_u').op('i32.wrap_i64').i32(SIGN).op('i32.and').set(v.s);
    c.i64(0n).get(OPERAND).op('i64.sub').get(OPERAND).get(v.s).op('select').tee(v.m);
    c.op('i64.clz').set(zeros);
    c.get(v.m).get(zeros).op('i64.shl').set(v.m);
    c.i32(BIAS + 63)
      .get(zeros)
      .op('i32.wrap_i64')
      .op('i32.sub');
    c.i32(0).get(v.m).op('i64.eqz').op('i32.eqz').op('select').set(v.e);
  }

  /**
   * Rounds `m` with the bits below it in `low` to nearest: `inexact` and `up` are left in locals. A carry out of the
   * significand makes it 1.0 and adds one to the exponent; an exponent out of the normal range is not for here.
   */
  round(v: Unpacked, low: number, inexact: number, up: number): void {
    const { c } = this;
    this.exponentFits(v.e);
    c.get(low).i64(0n).op('i64.ne').set(inexact);
    // Above half, or half and odd: the top bit, and any other or the last of m.
    c.get(low).i64(0n).op('i64.lt_s');
    c.get(low).i64(1n).op('i64.shl').get(v.m).i64(1n).op('i64.and').op('i64.or');
    c.i64(0n).op('i64.ne').op('i32.and').tee(up);
    c.op('i64.extend_i32_u').get(v.m).op('i64.add').tee(v.m).op('i64.eqz').iff();
    c.i64(INTEGER_BIT).set(v.m).get(v.e).i32(1).op('i32.add').set(v.e);
    this.exponentFits(v.e);
    c.end();
  }

  private exponentFits(e: number): void {
    this.c
      .get(e)
      .i32(1)
      .op('i32.sub')
      .i32(MOST - 1)
      .op('i32.ge_u');
    this.failIf();
  }

  /** The status word: C1 and PE of a rounding (null: exact); `codes`: the other condition codes too. */
  status(inexact: number | null, up: number | null, pushCodes: (() => void) | null = null): void {
    const { c } = this;
    this.setField('fsw', () => {
      this.field('fsw');
      c.i32(~(pushCodes ? FSW_CODES : FSW_C1)).op('i32.and');
      if (up !== null) c.get(up).i32(9).op('i32.shl').op('i32.or');
      if (inexact !== null) c.get(inexact).i32(Math.log2(FSW_PE)).op('i32.shl').op('i32.or');
      if (!pushCodes) return;
      pushCodes();
      c.op('i32.or');
    });
  }

  pointers(): void {
    this.setField('fip', () => this.c.get(FIP));
    this.c.get(CODE).i32(HAS_MEMORY).op('i32.and').iff();
    this.setField('fdp', () => this.c.get(FDP));
    this.c.end();
  }

  moveTop(by: 1 | -1): void {
    this.setField('fsw', () => {
      this.field('fsw');
      this.c.i32(~(7 << TOP_SHIFT)).op('i32.and');
      this.field('fsw');
      this.c
        .i32(by * (1 << TOP_SHIFT))
        .op('i32.add')
        .i32(7 << TOP_SHIFT)
        .op('i32.and')
        .op('i32.or');
    });
  }

  setTag(n: number): void {
    this.setField('ftw', () => {
      this.field('ftw');
      this.c.i32(1).get(n).op('i32.shl').op('i32.or');
    });
  }

  pop(): void {
    const { c } = this;
    const n = this.physical(() => c.i32(0));
    this.setField('ftw', () => {
      this.field('ftw');
      c.i32(1).get(n).op('i32.shl').i32(-1).op('i32.xor').op('i32.and');
    });
    this.moveTop(1);
  }

  popIf(pushCondition: () => void): void {
    pushCondition();
    this.c.iff();
    this.pop();
    this.c.end();
  }

  /** The physical register of a push, which must be empty. */
  room(): number {
    const n = this.physical(() => this.c.i32(7));
    this.tag(n);
    this.failIf();
    return n;
  }

  push(n: number, pushSig: () => void, pushSe: () => void): void {
    this.setRegister(n, pushSig, pushSe);
    this.setTag(n);
    this.moveTop(-1);
    this.status(null, null);
    this.pointers();
    this.done();
  }

  /** A local with the address in linear memory of the `bytes` at the linear address in `OPERAND`; a TLB miss is not for here. */
  host(bytes: number, writes: boolean): number {
    const { c } = this;
    const entry = c.take('i32');
    c.get(OPERAND).op('i32.wrap_i64').tee(entry).get(entry).i32(DATA_TLB_FOLD).op('i32.shr_u');
    c.op('i32.xor')
      .i32(12)
      .op('i32.shr_u')
      .i32(DATA_TLB_ENTRIES - 1)
      .op('i32.and');
    c.i32(DATA_TLB_STRIDE).op('i32.mul');
    this.field('dataTlb');
    c.op('i32.add')
      .tee(entry)
      .mem('i64.load', writes ? 8 : 0);
    c.get(OPERAND)
      .i64(BigInt(bytes - 1))
      .op('i64.add')
      .i64(-4096n)
      .op('i64.and')
      .op('i64.ne');
    this.failIf();
    c.get(OPERAND).op('i32.wrap_i64').get(entry).mem('i32.load', 16).op('i32.add').set(entry);
    return entry;
  }

  /** High half of the product of two significands, into `hi`; the low one into `lo`. */
  multiply(x: number, y: number, hi: number, lo: number): void {
    const { c } = this;
    const [mid, a, b] = [c.take('i64'), c.take('i64'), c.take('i64')];
    const low = (n: number) => c.get(n).i64(0xffffffffn).op('i64.and');
    const high = (n: number) => c.get(n).i64(32n).op('i64.shr_u');
    c.get(x).set(a).get(y).set(b);
    high(a);
    low(b);
    c.op('i64.mul');
    low(a);
    low(b);
    c.op('i64.mul').i64(32n).op('i64.shr_u').op('i64.add').set(mid);
    c.get(a).get(b).op('i64.mul').set(lo);
    high(a);
    high(b);
    c.op('i64.mul');
    high(mid);
    c.op('i64.add');
    low(a);
    high(b);
    c.op('i64.mul');
    low(mid);
    c.op('i64.add').i64(32n).op('i64.shr_u').op('i64.add').set(hi);
    c.release('i64', mid);
    c.release('i64', a);
    c.release('i64', b);
  }
}
