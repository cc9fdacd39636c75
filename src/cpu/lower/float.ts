// Lowers SSE arithmetic: inline where the result and MXCSR are provably what the soft float gives, else through it.

import type { FloatFn, FloatShape, Value } from '../isa/ir.ts';
import { floatCode } from '../slow/float-code.ts';
import { FIELDS, RET_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import type { Lowering } from './lower.ts';
import { loadOf } from './memory-ops.ts';

/** MXCSR: precision flag, its mask, rounding control. SDM 1 10.2.3. */
const PE = 1 << 5;
const PM = 1 << 12;
const RC = 3 << 13;

/** A format's numbers, shifted left by one so that the sign is gone. */
interface Format {
  readonly f: 'f32' | 'f64';
  readonly i: 'i32' | 'i64';
  readonly v: 'f32x4' | 'f64x2';
  readonly fraction: number;
  /** Twice the least normal number's bits, and twice infinity's. */
  readonly least: bigint;
  readonly infinity: bigint;
}
const F32: Format = {
  f: 'f32',
  i: 'i32',
  v: 'f32x4',
  fraction: 23,
  least: 1n << 24n,
  infinity: 0xffn << 24n,
};
const F64: Format = {
  f: 'f64',
  i: 'i64',
  v: 'f64x2',
  fraction: 52,
  least: 1n << 53n,
  infinity: 0x7ffn << 53n,
};
export const formatOf = (bits: number): Format => (bits === 64 ? F64 : F32);
export type { Format };

/**
 * The shape of all that follows: `fast` computes the result into its local, branches to `slow` where it may be wrong and
 * to `done` where it is right, and may fall through into `slow`.
 */
export function guarded(
  c: Code,
  fast: (slow: number, done: number) => void,
  slow: () => void,
): void {
  const done = c.block();
  const label = c.block();
  fast(label, done);
  c.end();
  slow();
  c.end();
}

export function emitFloat(l: Lowering, v: Value & { op: 'float' }): void {
  const packed = v.width === 128;
  const format = v.shape.startsWith('f32') ? F32 : F64;
  const a = l.inLocal(v.a);
  const b = l.inLocal(v.b);
  const result = l.temp(packed ? 'v128' : format.i);
  const e = new Emit(l, format, a, b, result);
  guarded(
    l.c,
    (slow, done) => {
      if (packed) e.packed(v.fn, slow, done);
      else e.scalar(v.fn, slow, done);
    },
    () => {
      l.callFloat('float', [v.a, v.b], floatCode(v.fn, v.shape as FloatShape));
      l.c.get(l.site.st).mem(loadOf(v.width), RET_AT).set(result);
    },
  );
  l.c.get(result);
}

/** A local with MXCSR. */
export function mxcsrOf(l: Lowering): number {
  const mxcsr = l.temp('i32');
  l.c.get(l.site.st).mem('i32.load', FIELDS.mxcsr.at).set(mxcsr);
  return mxcsr;
}

/** The same, after a branch if it rounds otherwise than to nearest. */
export function nearestOnly(l: Lowering, slow: number): number {
  const mxcsr = mxcsrOf(l);
  l.c.get(mxcsr).i32(RC).op('i32.and').brIf(slow);
  return mxcsr;
}

/** Branches when an inexact result has nothing to say: its flag is set already, and masked. */
export function inexactIsFine(c: Code, mxcsr: number, done: number): void {
  c.get(mxcsr)
    .i32(PE | PM)
    .op('i32.and')
    .i32(PE | PM)
    .op('i32.eq')
    .brIf(done);
}

/** Leaves the truth of: the scalar in `x` is a denormal. One is neither zero nor normal: 2x - 2 is below 2 * least - 2. */
export function isDenormal(c: Code, f: Format, x: number): void {
  c.get(x);
  constant(c, f, 1n);
  c.op(`${f.i}.shl`);
  constant(c, f, 2n);
  c.op(`${f.i}.sub`);
  constant(c, f, f.least - 2n);
  c.op(`${f.i}.lt_u`);
}

export function asFloat(c: Code, f: Format, x: number): void {
  c.get(x).op(`${f.f}.reinterpret_${f.i}`);
}

export function constant(c: Code, f: Format, n: bigint): void {
  if (f.i === 'i64') c.i64(n);
  else c.i32(Number(BigInt.asIntN(32, n)));
}

/** All lanes of a vector with the bits `n`. */
export function splat(c: Code, f: Format, n: bigint): void {
  const size = f.i === 'i64' ? 8 : 4;
  c.lanes(
    'v128.const',
    Array.from({ length: 16 }, (_, i) => Number((n >> BigInt(8 * (i % size))) & 0xffn)),
  );
}

/** Leaves a mask of the lanes of `x` that are denormals. */
export function denormalLanes(c: Code, f: Format, x: number): void {
  c.get(x).op(`${f.v}.abs`);
  splat(c, f, f.least >> 1n);
  c.op(`${f.v}.lt`).get(x);
  splat(c, f, 0n);
  c.op(`${f.v}.ne`).op('v128.and');
}

class Emit {
  private readonly l: Lowering;
  private readonly c: Code;
  private readonly f: Format;
  private readonly a: number;
  private readonly b: number;
  private readonly result: number;

  constructor(l: Lowering, f: Format, a: number, b: number, result: number) {
    this.l = l;
    this.c = l.c;
    this.f = f;
    this.a = a;
    this.b = b;
    this.result = result;
  }

  scalar(fn: FloatFn, slow: number, done: number): void {
    const { c, f } = this;
    if (fn === 'min' || fn === 'max') return this.lesser(fn, slow, done);
    const mxcsr = nearestOnly(this.l, slow);
    this.noDenormals(slow);
    asFloat(c, f, this.a);
    if (fn !== 'sqrt') asFloat(c, f, this.b);
    c.op(`${f.f}.${fn}`).op(`${f.i}.reinterpret_${f.f}`).set(this.result);
    this.inRange(fn, slow, done);
    inexactIsFine(c, mxcsr, done);
    this.exact(fn);
    c.brIf(done);
  }

  private noDenormals(slow: number): void {
    isDenormal(this.c, this.f, this.a);
    this.c.brIf(slow);
    if (this.a === this.b) return;
    isDenormal(this.c, this.f, this.b);
    this.c.brIf(slow);
  }

  /** NaNs, infinities and tiny results are for the soft float. A zero is exact if an operand is why; so is that of a sum. */
  private inRange(fn: FloatFn, slow: number, done: number): void {
    const { c, f } = this;
    const twice = this.l.temp(f.i);
    const inRange = c.block();
    this.double(this.result);
    c.tee(twice);
    // The least normal number may be a tiny one, rounded up.
    const least = fn === 'mul' || fn === 'div' ? f.least + 2n : f.least;
    constant(c, f, least);
    c.op(`${f.i}.sub`);
    constant(c, f, f.infinity - least);
    c.op(`${f.i}.lt_u`).brIf(inRange);
    c.get(twice).op(`${f.i}.eqz`);
    if (fn === 'mul' || fn === 'div') {
      this.double(this.a);
      c.op(`${f.i}.eqz`);
      if (fn === 'mul') {
        this.double(this.b);
        c.op(`${f.i}.eqz`).op('i32.or');
      }
      c.op('i32.and');
    }
    c.brIf(done);
    c.br(slow);
    c.end();
  }

  private double(x: number): void {
    this.c.get(x);
    constant(this.c, this.f, 1n);
    this.c.op(`${this.f.i}.shl`);
  }

  /** Leaves the truth of: the normal result is exact (false: it may be). */
  private exact(fn: FloatFn): void {
    const { c, f, a, b, result } = this;
    if (fn === 'add' || fn === 'sub') {
      const [x, y, r] = [a, b, result].map((from) => {
        const local = this.l.temp(f.f);
        asFloat(c, f, from);
        c.set(local);
        return local;
      }) as [number, number, number];
      this.twoSum(f.f, fn, x, y, r);
      c.get(x).get(x).op(`${f.f}.sub`).op(`${f.f}.eq`);
    } else if (f.f === 'f32') {
      // Products of two single precision numbers are exact in double precision.
      const [x, y, product] =
        fn === 'mul' ? [a, b, result] : [result, fn === 'sqrt' ? result : b, a];
      for (const each of [x, y]) this.promoted(each);
      c.op('f64.mul');
      this.promoted(product);
      c.op('f64.eq');
    } else if (fn === 'mul') {
      this.shortFactors(a, b);
    } else {
      const other = fn === 'sqrt' ? result : b;
      this.shortFactors(result, other);
      asFloat(c, f, result);
      asFloat(c, f, other);
      c.op('f64.mul');
      asFloat(c, f, a);
      c.op('f64.eq').op('i32.and');
      // Near the least number a product could be rounded to what it is compared with.
      this.double(a);
      c.i64(0x100n << 53n)
        .op('i64.gt_u')
        .op('i32.and');
    }
  }

  private promoted(x: number): void {
    asFloat(this.c, this.f, x);
    this.c.op('f64.promote_f32');
  }

  /** Leaves the error of r = x + y (or x - y). Knuth, TAOCP 2, 4.2.2 theorem B: it is exact, whatever x and y are. */
  private twoSum(t: string, fn: 'add' | 'sub', x: number, y: number, r: number): void {
    const { c } = this;
    const other = this.l.temp(t.length > 3 ? 'v128' : (t as 'f32' | 'f64'));
    c.get(r).get(x).op(`${t}.sub`).set(other);
    c.get(x).get(r).get(other).op(`${t}.sub`).op(`${t}.sub`);
    c.get(y)
      .get(other)
      .op(fn === 'add' ? `${t}.sub` : `${t}.add`);
    c.op(`${t}.${fn}`);
  }

  /** Leaves the truth of: two doubles have so many trailing zeros that their product needs no more than 53 bits. */
  private shortFactors(x: number, y: number): void {
    for (const each of [x, y])
      this.c
        .get(each)
        .i64(1n << 52n)
        .op('i64.or')
        .op('i64.ctz');
    this.c.op('i64.add').i64(53n).op('i64.ge_u');
  }

  /** Equal operands and NaNs give the second; NaNs are for the soft float, since they are invalid. */
  private lesser(fn: 'min' | 'max', slow: number, done: number): void {
    const { c, f } = this;
    this.noDenormals(slow);
    for (const x of [this.a, this.b]) {
      asFloat(c, f, x);
      asFloat(c, f, x);
      c.op(`${f.f}.ne`).brIf(slow);
    }
    c.get(this.a).get(this.b);
    asFloat(c, f, this.a);
    asFloat(c, f, this.b);
    c.op(fn === 'min' ? `${f.f}.lt` : `${f.f}.gt`)
      .op('select')
      .set(this.result)
      .br(done);
  }

  packed(fn: FloatFn, slow: number, done: number): void {
    const { c, f } = this;
    if (fn === 'min' || fn === 'max') return this.lesserLanes(fn, slow, done);
    const mxcsr = nearestOnly(this.l, slow);
    c.get(this.a);
    if (fn !== 'sqrt') c.get(this.b);
    c.op(`${f.v}.${fn}`).set(this.result);
    this.goodLanes(fn);
    c.op('v128.not');
    denormalLanes(c, f, this.a);
    c.op('v128.or');
    if (this.a !== this.b) {
      denormalLanes(c, f, this.b);
      c.op('v128.or');
    }
    c.op('v128.any_true').brIf(slow);
    inexactIsFine(c, mxcsr, done);
    if (this.exactLanes(fn)) c.brIf(done);
  }

  /** The lanes that `inRange` would let pass. */
  private goodLanes(fn: FloatFn): void {
    const { c, f, result } = this;
    const strict = fn === 'mul' || fn === 'div';
    c.get(result).op(`${f.v}.abs`);
    splat(c, f, f.least >> 1n);
    c.op(strict ? `${f.v}.gt` : `${f.v}.ge`);
    c.get(result).op(`${f.v}.abs`);
    splat(c, f, f.infinity >> 1n);
    c.op(`${f.v}.lt`).op('v128.and');
    this.zeroLanes(result);
    if (strict) {
      this.zeroLanes(this.a);
      if (fn === 'mul') {
        this.zeroLanes(this.b);
        c.op('v128.or');
      }
      c.op('v128.and');
    }
    c.op('v128.or');
  }

  private zeroLanes(x: number): void {
    this.c.get(x);
    splat(this.c, this.f, 0n);
    this.c.op(`${this.f.v}.eq`);
  }

  /** As `exact`, of all lanes; false: nothing left. */
  private exactLanes(fn: FloatFn): boolean {
    const { c, f, a, b, result } = this;
    if (fn === 'add' || fn === 'sub') {
      this.twoSum(f.v, fn, a, b, result);
      splat(c, f, 0n);
      c.op(`${f.v}.ne`).op('v128.any_true').op('i32.eqz');
      return true;
    }
    if (fn !== 'mul') return false;
    if (f.f === 'f32') {
      for (const high of [false, true]) {
        for (const x of [a, b]) this.half(x, high);
        c.op('f64x2.mul');
        this.half(result, high);
        c.op('f64x2.ne');
      }
      c.op('v128.or').op('v128.any_true').op('i32.eqz');
      return true;
    }
    for (const lane of [0, 1]) {
      for (const x of [a, b])
        c.get(x)
          .op('i64x2.extract_lane', lane)
          .i64(1n << 52n)
          .op('i64.or')
          .op('i64.ctz');
      c.op('i64.add').i64(53n).op('i64.ge_u');
    }
    c.op('i32.and');
    return true;
  }

  /** Two lanes of single precision, as double. */
  private half(x: number, high: boolean): void {
    this.c.get(x);
    if (high)
      this.c
        .get(x)
        .lanes('i8x16.shuffle', [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
    this.c.op('f64x2.promote_low_f32x4');
  }

  private lesserLanes(fn: 'min' | 'max', slow: number, done: number): void {
    const { c, f, a, b } = this;
    for (const x of [a, b]) {
      denormalLanes(c, f, x);
      c.get(x).get(x).op(`${f.v}.ne`).op('v128.or');
    }
    c.op('v128.or').op('v128.any_true').brIf(slow);
    c.get(a).get(b).get(a).get(b);
    c.op(fn === 'min' ? `${f.v}.lt` : `${f.v}.gt`)
      .op('v128.bitselect')
      .set(this.result)
      .br(done);
  }
}
