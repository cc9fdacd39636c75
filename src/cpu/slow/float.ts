// SSE arithmetic, exactly: add, sub, mul, div, sqrt, min, max, addsub and dot products, scalar and packed.

import type { FloatFn } from '../isa/ir.ts';
import { add, type Binary, div, mul, sqrt, sub } from '../softfloat/arithmetic.ts';
import { takesFirst } from '../softfloat/compare.ts';
import { F32, F64, type Format, pack, unpack } from '../softfloat/number.ts';
import type { Env } from '../softfloat/round.ts';
import type { State } from '../state.ts';
import { defineSlow } from './define.ts';
import { floatFnOf, floatShapeOf } from './float-code.ts';
import { argLane, formatOf, laneCount, operand, retLane, settle, sseEnv } from './sse-env.ts';

const ARITHMETIC: Readonly<Record<Exclude<FloatFn, 'min' | 'max'>, Binary>> = {
  add,
  sub,
  mul,
  div,
  sqrt,
};

function lane(env: Env, fn: FloatFn, format: Format, a: bigint, b: bigint): bigint {
  const x = operand(env, format, a);
  const y = operand(env, format, b);
  if (fn === 'min' || fn === 'max') return pack(format, takesFirst(env, fn, x, y) ? x : y);
  return pack(format, ARITHMETIC[fn](env, { format, precision: format.precision }, x, y));
}

/**
 * The IR's `float` node. Arguments: a, b (for sqrt: a again), the code of float-code.ts. Result 0.
 * Engines compute inline where nothing of this can be seen: lower/float.ts.
 */
export const float = defineSlow({
  name: 'float',
  ref: 'SDM 1 11.5',
  pure: true,
  run({ state }) {
    const code = state.arg32(2);
    const fn = floatFnOf(code);
    const shape = floatShapeOf(code);
    const format = formatOf(shape);
    const env = sseEnv(state);
    for (let n = 0; n < laneCount(shape); n++) {
      const bits = lane(
        env,
        fn,
        format,
        argLane(state, format, 0, n),
        argLane(state, format, 1, n),
      );
      retLane(state, format, 0, n, bits);
    }
    return settle(state, env);
  },
});

/** addsubps (argument 2: 4 lanes), addsubpd (2): subtracts in even lanes, adds in odd ones. */
export const addSub = defineSlow({
  name: 'float-addsub',
  ref: 'SDM 2A ADDSUBPS, ADDSUBPD',
  pure: true,
  run({ state }) {
    const lanes = state.arg32(2);
    const format = lanes === 4 ? F32 : F64;
    const env = sseEnv(state);
    for (let n = 0; n < lanes; n++) {
      const fn = n % 2 === 0 ? 'sub' : 'add';
      const bits = lane(
        env,
        fn,
        format,
        argLane(state, format, 0, n),
        argLane(state, format, 1, n),
      );
      retLane(state, format, 0, n, bits);
    }
    return settle(state, env);
  },
});

/** dpps, dppd: arguments a, b, immediate, lanes. Every step rounds, and an unmasked exception stops at its step. */
export const dotProduct = defineSlow({
  name: 'float-dot',
  ref: 'SDM 2A DPPS, DPPD',
  pure: true,
  run({ state }) {
    const imm = state.arg32(2);
    const lanes = state.arg32(3);
    const format = lanes === 4 ? F32 : F64;
    let terms: bigint[] = [];
    const env = sseEnv(state);
    for (let n = 0; n < lanes; n++) {
      const used = (imm >> (4 + n)) & 1;
      const [a, b] = [argLane(state, format, 0, n), argLane(state, format, 1, n)];
      terms.push(used ? lane(env, 'mul', format, a, b) : 0n);
    }
    if (settle(state, env) === 1) return 1;
    while (terms.length > 1) {
      const sums = pairSums(state, format, terms);
      if (sums === null) return 1;
      terms = sums;
    }
    const total = terms[0] ?? 0n;
    for (let n = 0; n < lanes; n++) retLane(state, format, 0, n, (imm >> n) & 1 ? total : 0n);
    return 0;
  },
});

function pairSums(state: State, format: Format, terms: readonly bigint[]): bigint[] | null {
  const env = sseEnv(state);
  const sums: bigint[] = [];
  for (let n = 0; n < terms.length; n += 2)
    sums.push(lane(env, 'add', format, terms[n] ?? 0n, terms[n + 1] ?? 0n));
  return settle(state, env) === 1 ? null : sums;
}

/** Bits of the operand that the approximation looks at, and of its result. */
const APPROXIMATE_BITS = 12;

/**
 * rcpps, rsqrtps: arguments a, 1 for the root, lanes. Within 1.5 * 2^-12 of the exact value, as the SDM promises; the
 * bits themselves are each processor's own (these are ours). No exceptions, no rounding mode. SDM 2B RCPPS, RSQRTPS.
 */
export const approximate = defineSlow({
  name: 'float-approximate',
  ref: 'SDM 2B RCPPS, RSQRTPS',
  pure: true,
  run({ state }) {
    const root = state.arg32(1) === 1;
    for (let n = 0; n < state.arg32(2); n++)
      retLane(state, F32, 0, n, approximateLane(argLane(state, F32, 0, n), root));
    return 0;
  },
});

const INFINITY = 0x7f800000n;
const QUIET = 0x400000n;
const NEGATIVE_QNAN = 0xffc00000n;

function approximateLane(bits: bigint, root: boolean): bigint {
  const n = unpack(F32, bits);
  const top = bits & 0x80000000n;
  if (n.kind === 'nan') return bits | QUIET;
  // Denormals count as zeros.
  if (n.kind === 'zero' || (n.kind === 'finite' && n.denormal)) return top | INFINITY;
  if (root && top !== 0n) return NEGATIVE_QNAN;
  if (n.kind !== 'finite') return top;
  const exponent = Number((bits >> 23n) & 0xffn) - 127;
  const fraction = Number((bits & 0x7fffffn) >> BigInt(23 - APPROXIMATE_BITS));
  const mantissa = 1 + (fraction + 0.5) / (1 << APPROXIMATE_BITS);
  return root ? rootOf(exponent, mantissa) : top | reciprocalOf(exponent, mantissa);
}

function reciprocalOf(exponent: number, mantissa: number): bigint {
  return assemble(-exponent - 1, 2 / mantissa);
}

/** Math.sqrt is exact by IEEE 754 (ECMA-262 leaves room, every engine uses the instruction); the result is cut to 12 bits. */
function rootOf(exponent: number, mantissa: number): bigint {
  const odd = exponent & 1;
  return assemble(-((exponent - odd) / 2) - 1, 2 / Math.sqrt(mantissa * (1 + odd)));
}

/** The bits of `value` (in [1, 2]) times two to the `exponent`, results below the normal range flushed. */
function assemble(exponent: number, value: number): bigint {
  const scale = 1 << APPROXIMATE_BITS;
  const rounded = Math.round(value * scale);
  const up = rounded >= 2 * scale ? 1 : 0;
  const biased = exponent + up + 127;
  if (biased <= 0) return 0n;
  const fraction = up ? 0 : rounded - scale;
  return (BigInt(biased) << 23n) | (BigInt(fraction) << BigInt(23 - APPROXIMATE_BITS));
}
