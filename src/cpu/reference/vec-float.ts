// WebAssembly's SIMD instructions on float lanes. A NaN that the specification leaves open is the canonical one.

import { joinLanes, signed, splitLanes } from './integers.ts';

/** Arguments and result are unsigned; lanes lowest first. `imm`: the immediate bytes. */
export type VecFn = (args: readonly bigint[], imm: readonly number[]) => bigint;

type FloatShape = 'f32x4' | 'f64x2';

const scratch = new DataView(new ArrayBuffer(8));

export function toFloat(lane: bigint, bits: 32 | 64): number {
  scratch.setBigUint64(0, lane, true);
  return bits === 32 ? scratch.getFloat32(0, true) : scratch.getFloat64(0, true);
}

export function fromFloat(value: number, bits: 32 | 64): bigint {
  if (Number.isNaN(value)) return bits === 32 ? 0x7fc00000n : 0x7ff8000000000000n;
  scratch.setBigUint64(0, 0n, true);
  if (bits === 32) scratch.setFloat32(0, value, true);
  else scratch.setFloat64(0, value, true);
  return scratch.getBigUint64(0, true);
}

/** Single precision needs no `fround` inside: double has more than twice its bits, so rounding twice is harmless. */
const ARITHMETIC: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
};
const ROUNDING: Readonly<Record<string, (a: number) => number>> = {
  sqrt: Math.sqrt,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: roundToEven,
};
const COMPARES: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};
/** Those that move bits and never make a new NaN. */
const BITWISE: Readonly<Record<string, (a: bigint, b: bigint, bits: 32 | 64) => bigint>> = {
  abs: (a, _, bits) => a & ~(1n << BigInt(bits - 1)),
  neg: (a, _, bits) => a ^ (1n << BigInt(bits - 1)),
  pmin: (a, b, bits) => (toFloat(b, bits) < toFloat(a, bits) ? b : a),
  pmax: (a, b, bits) => (toFloat(a, bits) < toFloat(b, bits) ? b : a),
};

export function floatInstruction(shape: string, op: string): VecFn | null {
  if (shape === 'f32x4' || shape === 'f64x2') {
    return lanes(shape, op) ?? byNumber(shape, op) ?? CONVERT[`${shape}.${op}`] ?? null;
  }
  return CONVERT[`${shape}.${op}`] ?? null;
}

function lanes(shape: FloatShape, op: string): VecFn | null {
  const bits = shape === 'f32x4' ? 32 : 64;
  const each =
    (f: (a: bigint, b: bigint) => bigint): VecFn =>
    ([a = 0n, b = 0n]) => {
      const second = splitLanes(b, bits);
      return joinLanes(
        splitLanes(a, bits).map((lane, n) => f(lane, second[n] ?? 0n)),
        bits,
      );
    };
  const number = (lane: bigint) => toFloat(lane, bits);
  const two = ARITHMETIC[op];
  if (two) return each((a, b) => fromFloat(two(number(a), number(b)), bits));
  const one = ROUNDING[op];
  if (one) return each((a) => fromFloat(one(number(a)), bits));
  const compare = COMPARES[op];
  if (compare) return each((a, b) => (compare(number(a), number(b)) ? -1n : 0n));
  const move = BITWISE[op];
  if (move) return each((a, b) => move(a, b, bits));
  return null;
}

function byNumber(shape: FloatShape, op: string): VecFn | null {
  const bits = shape === 'f32x4' ? 32 : 64;
  switch (op) {
    case 'splat':
      return ([a = 0n]) => joinLanes(Array(128 / bits).fill(a), bits);
    case 'extract_lane':
      return ([a = 0n], [n = 0]) => splitLanes(a, bits)[n] ?? 0n;
    case 'replace_lane':
      return ([a = 0n, b = 0n], [n = 0]) =>
        joinLanes(
          splitLanes(a, bits).map((lane, at) => (at === n ? b : lane)),
          bits,
        );
    default:
      return null;
  }
}

const fromInts = (count: number, bits: 32 | 64, isSigned: boolean): VecFn => {
  const read = (lane: bigint) => Number(isSigned ? signed(lane, 32) : lane);
  return ([a = 0n]) =>
    joinLanes(
      splitLanes(a, 32)
        .slice(0, count)
        .map((lane) => fromFloat(read(lane), bits)),
      bits,
    );
};
const toInts = (from: 32 | 64, isSigned: boolean): VecFn => {
  const [low, high] = isSigned ? [-0x80000000, 0x7fffffff] : [0, 0xffffffff];
  const convert = (lane: bigint) => {
    const v = Math.trunc(toFloat(lane, from));
    return Number.isNaN(v) ? 0n : BigInt(Math.min(Math.max(v, low), high));
  };
  return ([a = 0n]) => joinLanes(splitLanes(a, from).map(convert), 32);
};

const CONVERT: Readonly<Record<string, VecFn>> = {
  'i32x4.trunc_sat_f32x4_s': toInts(32, true),
  'i32x4.trunc_sat_f32x4_u': toInts(32, false),
  'i32x4.trunc_sat_f64x2_s_zero': toInts(64, true),
  'i32x4.trunc_sat_f64x2_u_zero': toInts(64, false),
  'f32x4.convert_i32x4_s': fromInts(4, 32, true),
  'f32x4.convert_i32x4_u': fromInts(4, 32, false),
  'f64x2.convert_low_i32x4_s': fromInts(2, 64, true),
  'f64x2.convert_low_i32x4_u': fromInts(2, 64, false),
  'f32x4.demote_f64x2_zero': ([a = 0n]) =>
    joinLanes(
      splitLanes(a, 64).map((lane) => fromFloat(toFloat(lane, 64), 32)),
      32,
    ),
  'f64x2.promote_low_f32x4': ([a = 0n]) =>
    joinLanes(
      splitLanes(a, 32)
        .slice(0, 2)
        .map((lane) => fromFloat(toFloat(lane, 32), 64)),
      64,
    ),
};

function roundToEven(a: number): number {
  const down = Math.floor(a);
  if (!Number.isFinite(a) || a === down) return a;
  const rest = a - down;
  const even = rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
  return even === 0 && a < 0 ? -0 : even;
}
