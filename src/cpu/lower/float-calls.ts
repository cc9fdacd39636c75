// Lowers calls of SSE slow paths inline where that is provably the same: comparisons, conversions, rounding to integers.

import type { Effect, Value } from '../isa/ir.ts';
import { type Conversion, conversionOf } from '../slow/float-convert.ts';
import { RET_AT } from '../state.ts';
import {
  asFloat,
  constant,
  denormalLanes,
  type Format,
  formatOf,
  guarded,
  inexactIsFine,
  isDenormal,
  mxcsrOf,
  nearestOnly,
  splat,
} from './float.ts';
import type { Lowering } from './lower.ts';
import { loadOf, valType } from './memory-ops.ts';

type Call = Effect & { readonly op: 'call' };
/** Emits the fast way to the result in a local; see `guarded`. */
type Fast = (slow: number, done: number) => void;
type Emitter = (l: Lowering, e: Call, result: number) => Fast | null;

const EMITTERS: Readonly<Record<string, Emitter>> = {
  'float-compare-flags': compareFlags,
  'float-compare-mask': compareMask,
  'float-convert': convert,
  'float-round': roundTo,
};

/** False: this call has no fast way; nothing is emitted. */
export function emitFloatCall(l: Lowering, e: Call): boolean {
  const emitter = EMITTERS[e.name];
  const width = e.results[0];
  if (!emitter || width === undefined) return false;
  const result = l.temp(valType(width));
  const fast = emitter(l, e, result);
  if (!fast) return false;
  guarded(l.c, fast, () => {
    l.callFloat(e.name, e.args, null);
    l.c.get(l.site.st).mem(loadOf(width), RET_AT).set(result);
  });
  l.keepResult(e, result);
  return true;
}

function constantOf(v: Value | undefined): number | null {
  return v?.op === 'const' && v.width !== 128 ? Number(v.value) : null;
}

/** NaNs and denormals go the slow way; what is left is less, equal or greater. CF is bit 0, ZF bit 6. */
function compareFlags(l: Lowering, e: Call, result: number): Fast | null {
  const [a, b, bits] = e.args as [Value, Value, Value];
  const f = formatOf(constantOf(bits) ?? 0);
  const [x, y] = [l.inLocal(a), l.inLocal(b)];
  const { c } = l;
  return (slow, done) => {
    plainNumbers(l, f, [x, y], slow);
    asFloat(c, f, x);
    asFloat(c, f, y);
    c.op(`${f.f}.lt`);
    asFloat(c, f, x);
    asFloat(c, f, y);
    c.op(`${f.f}.eq`).i32(6).op('i32.shl').op('i32.or').set(result).br(done);
  };
}

function plainNumbers(l: Lowering, f: Format, list: readonly number[], slow: number): void {
  const { c } = l;
  for (const x of new Set(list)) {
    isDenormal(c, f, x);
    c.brIf(slow);
    asFloat(c, f, x);
    asFloat(c, f, x);
    c.op(`${f.f}.ne`).brIf(slow);
  }
}

/** By predicate 0..3, of numbers; 4..7 are their opposites. SDM 2A table 3-1. */
const PREDICATES = ['eq', 'lt', 'le', null] as const;

function compareMask(l: Lowering, e: Call, result: number): Fast | null {
  const [a, b, by, bits] = e.args as [Value, Value, Value, Value];
  const imm = constantOf(by);
  if (imm === null) return null;
  const f = formatOf(constantOf(bits) ?? 0);
  const packed = a.width === 128;
  const [x, y] = [l.inLocal(a), l.inLocal(b)];
  const { c } = l;
  const op = PREDICATES[(imm & 3) as 0 | 1 | 2 | 3];
  return (slow, done) => {
    if (packed) plainLanes(l, f, [x, y], slow);
    else plainNumbers(l, f, [x, y], slow);
    if (packed) {
      if (op === null) splat(c, f, 0n);
      else c.get(x).get(y).op(`${f.v}.${op}`);
      if (imm & 4) c.op('v128.not');
    } else {
      constant(c, f, 0n);
      if (op === null) {
        c.i32(0);
      } else {
        asFloat(c, f, x);
        asFloat(c, f, y);
        c.op(`${f.f}.${op}`);
      }
      if (imm & 4) c.op('i32.eqz');
      if (f.i === 'i64') c.op('i64.extend_i32_u');
      c.op(`${f.i}.sub`);
    }
    c.set(result).br(done);
  };
}

function plainLanes(l: Lowering, f: Format, list: readonly number[], slow: number): void {
  const { c } = l;
  for (const [i, x] of [...new Set(list)].entries()) {
    denormalLanes(c, f, x);
    c.get(x).get(x).op(`${f.v}.ne`).op('v128.or');
    if (i > 0) c.op('v128.or');
  }
  c.op('v128.any_true').brIf(slow);
}

/** By the immediate's low two bits, and to nearest by MXCSR. SDM 2B ROUNDPD. */
const ROUNDINGS = ['nearest', 'floor', 'ceil', 'trunc'] as const;
const USE_MXCSR = 4;
const NO_PRECISION = 8;

function roundTo(l: Lowering, e: Call, result: number): Fast | null {
  const [a, by, bits] = e.args as [Value, Value, Value];
  const imm = constantOf(by);
  if (imm === null) return null;
  const f = formatOf(constantOf(bits) ?? 0);
  const packed = a.width === 128;
  const x = l.inLocal(a);
  const { c } = l;
  const op = ROUNDINGS[(imm & USE_MXCSR ? 0 : imm & 3) as 0 | 1 | 2 | 3];
  return (slow, done) => {
    const mxcsr = imm & USE_MXCSR ? nearestOnly(l, slow) : mxcsrOf(l);
    if (packed) {
      plainLanes(l, f, [x], slow);
      c.get(x).op(`${f.v}.${op}`).set(result);
    } else {
      plainNumbers(l, f, [x], slow);
      asFloat(c, f, x);
      c.op(`${f.f}.${op}`).op(`${f.i}.reinterpret_${f.f}`).set(result);
    }
    if (imm & NO_PRECISION) {
      c.br(done);
      return;
    }
    inexactIsFine(c, mxcsr, done);
    if (packed) c.get(result).get(x).op(`${f.v}.ne`).op('v128.any_true').op('i32.eqz').brIf(done);
    else c.get(result).get(x).op(`${f.i}.eq`).brIf(done);
  };
}

function convert(l: Lowering, e: Call, result: number): Fast | null {
  const [a, code] = e.args as [Value, Value];
  const k = conversionOf(constantOf(code) ?? 0);
  const x = l.inLocal(a);
  const toInteger = k.to.startsWith('i');
  if (k.lanes > 1) {
    // Only the sse forms: an mm register's are rare.
    const wide = e.results[0] === 128 && (a.width === 128 || (k.from === 'f32' && k.to === 'f64'));
    return wide ? packed(l, k, a, x, result) : null;
  }
  if (k.from.startsWith('i')) return fromInteger(l, k, x, result);
  return toInteger ? intoInteger(l, k, x, result) : between(l, k, x, result);
}

/** cvtsi2sd, cvtsi2ss. */
function fromInteger(l: Lowering, k: Conversion, x: number, result: number): Fast {
  const { c } = l;
  const f = formatOf(k.to === 'f64' ? 64 : 32);
  return (slow, done) => {
    const mxcsr = nearestOnly(l, slow);
    c.get(x).op(`${f.f}.convert_${k.from}_s`).op(`${f.i}.reinterpret_${f.f}`).set(result);
    inexactIsFine(c, mxcsr, done);
    // Exact, surely, if what is left between the first and the last one fits the significand.
    const size = k.from === 'i64' ? 'i64' : 'i32';
    const room = f.fraction + 1;
    const shift = size === 'i64' ? 64 - room : 32 - room;
    const push = (n: number) => (size === 'i64' ? c.i64(BigInt(n)) : c.i32(n));
    c.get(x);
    push(shift);
    c.op(`${size}.shl`);
    push(shift);
    c.op(`${size}.shr_s`).get(x).op(`${size}.eq`).brIf(done);
  };
}

/** cvttsd2si, cvtsd2si and their like. Denormals are no exception here; with DAZ they are exact zeros, so they go the slow way. */
function intoInteger(l: Lowering, k: Conversion, x: number, result: number): Fast {
  const { c } = l;
  const from = formatOf(k.from === 'f64' ? 64 : 32);
  const size = k.to === 'i64' ? 64 : 32;
  const limit = 2 ** (size - 1);
  return (slow, done) => {
    const mxcsr = k.truncate ? mxcsrOf(l) : nearestOnly(l, slow);
    const v = l.temp('f64');
    const whole = l.temp('f64');
    isDenormal(c, from, x);
    c.brIf(slow);
    asFloat(c, from, x);
    if (from.f === 'f32') c.op('f64.promote_f32');
    c.tee(v)
      .op(k.truncate ? 'f64.trunc' : 'f64.nearest')
      .tee(whole);
    // The complement: a NaN fails it.
    c.f64(-limit).op('f64.ge').get(whole).f64(limit).op('f64.lt').op('i32.and');
    c.op('i32.eqz').brIf(slow);
    c.get(whole)
      .op(`${k.to as 'i32' | 'i64'}.trunc_f64_s`)
      .set(result);
    inexactIsFine(c, mxcsr, done);
    c.get(whole).get(v).op('f64.eq').brIf(done);
  };
}

/** cvtss2sd is exact; cvtsd2ss rounds. */
function between(l: Lowering, k: Conversion, x: number, result: number): Fast {
  const { c } = l;
  const from = formatOf(k.from === 'f64' ? 64 : 32);
  const to = formatOf(k.to === 'f64' ? 64 : 32);
  return (slow, done) => {
    plainNumbers(l, from, [x], slow);
    if (to.f === 'f64') {
      asFloat(c, from, x);
      c.op('f64.promote_f32').op('i64.reinterpret_f64').set(result).br(done);
      return;
    }
    const mxcsr = nearestOnly(l, slow);
    asFloat(c, from, x);
    c.op('f32.demote_f64').op('i32.reinterpret_f32').set(result);
    c.get(x).i64(1n).op('i64.shl').op('i64.eqz').brIf(done);
    const twice = l.temp('i32');
    const least = to.least + 2n;
    c.get(result).i32(1).op('i32.shl').tee(twice);
    constant(c, to, least);
    c.op('i32.sub');
    constant(c, to, to.infinity - least);
    c.op('i32.ge_u').brIf(slow);
    inexactIsFine(c, mxcsr, done);
    asFloat(c, to, result);
    c.op('f64.promote_f32');
    asFloat(c, from, x);
    c.op('f64.eq').brIf(done);
  };
}

function packed(l: Lowering, k: Conversion, a: Value, x: number, result: number): Fast | null {
  const { c } = l;
  const kind = `${k.from} ${k.to}`;
  if (kind === 'f32 f64') {
    const v = l.temp('v128');
    return (slow, done) => {
      c.get(x);
      if (a.width === 64) c.op('i64x2.splat');
      else c.get(x).lanes('i8x16.shuffle', [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
      c.set(v);
      plainLanes(l, formatOf(32), [v], slow);
      c.get(v).op('f64x2.promote_low_f32x4').set(result).br(done);
    };
  }
  if (kind === 'i32 f32') {
    return (slow, done) => {
      const mxcsr = nearestOnly(l, slow);
      c.get(x).op('f32x4.convert_i32x4_s').set(result);
      inexactIsFine(c, mxcsr, done);
      c.get(x).i32(8).op('i32x4.shl').i32(8).op('i32x4.shr_s').get(x).op('i32x4.eq');
      c.op('i32x4.all_true').brIf(done);
    };
  }
  if (kind !== 'f32 i32') return null;
  const f = formatOf(32);
  return (slow, done) => {
    const mxcsr = k.truncate ? mxcsrOf(l) : nearestOnly(l, slow);
    const whole = l.temp('v128');
    plainLanes(l, f, [x], slow);
    c.get(x)
      .op(k.truncate ? 'f32x4.trunc' : 'f32x4.nearest')
      .tee(whole)
      .op('f32x4.abs');
    splat(c, f, 0x4f000000n); // 2^31
    c.op('f32x4.ge').op('v128.any_true').brIf(slow);
    c.get(whole).op('i32x4.trunc_sat_f32x4_s').set(result);
    inexactIsFine(c, mxcsr, done);
    c.get(whole).get(x).op('f32x4.ne').op('v128.any_true').op('i32.eqz').brIf(done);
  };
}
