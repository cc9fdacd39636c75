// SSE conversions, comparisons and rounding to integers.

import { compare } from '../softfloat/compare.ts';
import { convert, fromInteger, toInteger, toIntegral } from '../softfloat/convert.ts';
import { F32, F64, type Format, type Num, pack } from '../softfloat/number.ts';
import { type Env, round, TRUNCATE } from '../softfloat/round.ts';
import { ARG_AT, RET_AT, type State } from '../state.ts';
import { defineSlow } from './define.ts';
import { argLane, operand, retLane, settle, sseEnv } from './sse-env.ts';

/** The second argument of the conversions: from and to, lanes, truncation. */
export interface Conversion {
  readonly from: 'f32' | 'f64' | 'i32' | 'i64';
  readonly to: 'f32' | 'f64' | 'i32' | 'i64';
  readonly lanes: number;
  readonly truncate: boolean;
}

const TYPES = ['f32', 'f64', 'i32', 'i64'] as const;

export function conversionCode(c: Conversion): number {
  const truncate = c.truncate ? 1 : 0;
  return TYPES.indexOf(c.from) | (TYPES.indexOf(c.to) << 2) | (truncate << 4) | (c.lanes << 5);
}

export function conversionOf(code: number): Conversion {
  return {
    from: TYPES[code & 3] ?? 'f32',
    to: TYPES[(code >> 2) & 3] ?? 'f32',
    truncate: (code & 16) !== 0,
    lanes: code >> 5,
  };
}

const FORMATS: Readonly<Record<string, Format>> = { f32: F32, f64: F64 };

/** Argument 0: the source, 1: the conversion. Result 0: the lanes; the rest of the 16 bytes is zero. */
export const floatConvert = defineSlow({
  name: 'float-convert',
  ref: 'SDM 1 11.5, 2A CVT*',
  pure: true,
  run({ state }) {
    const c = conversionOf(state.arg32(1));
    const env = sseEnv(state);
    const results: bigint[] = [];
    for (let n = 0; n < c.lanes; n++) results.push(convertLane(state, env, c, n));
    state.ret64(0, 0n);
    state.views.u64[((state.base + RET_AT) >> 3) + 1] = 0n;
    for (const [n, bits] of results.entries()) retInteger(state, c.to, n, bits);
    return settle(state, env);
  },
});

function convertLane(state: State, env: Env, c: Conversion, n: number): bigint {
  const source = sourceOf(state, env, c.from, n);
  const format = FORMATS[c.to];
  if (!format)
    return toInteger(env, source, c.to === 'i64' ? 64 : 32, c.truncate ? TRUNCATE : env.rounding);
  if (c.from === 'f32' || c.from === 'f64') return pack(format, convert(env, format, source));
  if (source.kind !== 'finite') return pack(format, source);
  return pack(format, round(env, format, { ...source, sticky: false }));
}

function sourceOf(state: State, env: Env, from: Conversion['from'], n: number): Num {
  const format = FORMATS[from];
  if (format) return operand(env, format, argLane(state, format, 0, n));
  const { i32, i64 } = state.views;
  const at = state.base + ARG_AT;
  return fromInteger(
    from === 'i64' ? (i64[(at >> 3) + n] as bigint) : BigInt(i32[(at >> 2) + n] as number),
  );
}

function retInteger(state: State, to: Conversion['to'], n: number, bits: bigint): void {
  const wide = to === 'i64' || to === 'f64';
  retLane(state, wide ? F64 : F32, 0, n, BigInt.asUintN(wide ? 64 : 32, bits));
}

const ZF = 0x40;
const PF = 4;
const CF = 1;
const FLAGS_OF = { unordered: ZF | PF | CF, less: CF, equal: ZF, greater: 0 } as const;

/** comiss, ucomiss ...: arguments a, b, 64 or 32 bits, 1 for comis. Result 0: ZF PF CF at their places. */
export const floatCompareFlags = defineSlow({
  name: 'float-compare-flags',
  ref: 'SDM 2A COMISD, 2B UCOMISD',
  pure: true,
  run({ state }) {
    const format = state.arg32(2) === 64 ? F64 : F32;
    const env = sseEnv(state);
    const a = operand(env, format, argLane(state, format, 0, 0));
    const b = operand(env, format, argLane(state, format, 1, 0));
    state.ret32(0, FLAGS_OF[compare(env, a, b, state.arg32(3) === 1)]);
    return settle(state, env);
  },
});

/** By predicate 0..3 (4..7 are their opposites): does it hold, and are quiet NaNs invalid? SDM 2A table 3-1. */
const PREDICATES = [
  { signaling: false, holds: ['equal'] },
  { signaling: true, holds: ['less'] },
  { signaling: true, holds: ['less', 'equal'] },
  { signaling: false, holds: ['unordered'] },
] as const;

/** cmpps and its like: arguments a, b, immediate, 64 or 32 bits, lanes. Result 0: all ones where it holds. */
export const floatCompareMask = defineSlow({
  name: 'float-compare-mask',
  ref: 'SDM 2A CMPPS',
  pure: true,
  run({ state }) {
    const imm = state.arg32(2) & 7;
    const wide = state.arg32(3) === 64;
    const format = wide ? F64 : F32;
    const predicate = PREDICATES[(imm & 3) as 0 | 1 | 2 | 3];
    const env = sseEnv(state);
    for (let n = 0; n < state.arg32(4); n++) {
      const a = operand(env, format, argLane(state, format, 0, n));
      const b = operand(env, format, argLane(state, format, 1, n));
      const order = compare(env, a, b, predicate.signaling);
      const holds = (predicate.holds as readonly string[]).includes(order) !== imm >= 4;
      retLane(state, format, 0, n, holds ? BigInt.asUintN(wide ? 64 : 32, -1n) : 0n);
    }
    return settle(state, env);
  },
});

const USE_MXCSR_RC = 4;
const NO_PRECISION = 8;

/** roundps and its like: arguments a, immediate, 64 or 32 bits, lanes. */
export const floatRound = defineSlow({
  name: 'float-round',
  ref: 'SDM 2B ROUNDPS',
  pure: true,
  run({ state }) {
    const imm = state.arg32(1);
    const format = state.arg32(2) === 64 ? F64 : F32;
    const env = sseEnv(state);
    const rounding = imm & USE_MXCSR_RC ? env.rounding : imm & 3;
    for (let n = 0; n < state.arg32(3); n++) {
      const a = operand(env, format, argLane(state, format, 0, n));
      const v = toIntegral(env, a, rounding, (imm & NO_PRECISION) !== 0);
      retLane(state, format, 0, n, pack(format, v));
    }
    return settle(state, env);
  },
});
