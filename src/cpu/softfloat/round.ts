// Rounding an exact result to a format: overflow, underflow, denormals, and the flags that belong to them. SDM 1 4.8.4, 4.9.1.

import { bitLength, type Format, type Num, OE, PE, type Sign, UE } from './number.ts';

/** MXCSR.RC and FCW.RC. */
export const NEAREST = 0;
export const DOWN = 1;
export const UP = 2;
export const TRUNCATE = 3;

/** What arithmetic depends on, and the flags it leaves. */
export interface Env {
  readonly rounding: number;
  /** Exceptions that are masked, at their flags' places. */
  readonly masks: number;
  readonly denormalsAreZero: boolean;
  readonly flushToZero: boolean;
  /** Whose NaN wins when there are two: the first operand's (SSE) or the larger (x87). */
  readonly nans: 'first' | 'larger';
  /** Added to (subtracted from) the exponent of an unmasked underflow (overflow); SSE stores nothing then. */
  readonly wrap: number;
  flags: number;
  /** The last rounding went away from zero: x87's C1. */
  roundedUp: boolean;
}

/** A nonzero result before rounding: `sig` times two to the `exp`, and a little more if `sticky`. */
export interface Exact {
  readonly sign: Sign;
  readonly sig: bigint;
  readonly exp: number;
  /** Then `sig` has at least two bits more than the precision. */
  readonly sticky: boolean;
}

interface Shifted {
  readonly q: bigint;
  readonly inexact: boolean;
  readonly up: boolean;
}

/** `sig` without its low `shift` bits, rounded. */
export function roundShift(
  rounding: number,
  sign: Sign,
  sig: bigint,
  shift: number,
  sticky: boolean,
): Shifted {
  if (shift <= 0) return { q: sig << BigInt(-shift), inexact: sticky, up: false };
  const q = sig >> BigInt(shift);
  const rest = sig - (q << BigInt(shift));
  const inexact = rest !== 0n || sticky;
  if (!inexact) return { q, inexact, up: false };
  const up = roundsUp(rounding, sign, q, rest, 1n << BigInt(shift - 1), sticky);
  return { q: up ? q + 1n : q, inexact, up };
}

function roundsUp(
  rounding: number,
  sign: Sign,
  q: bigint,
  rest: bigint,
  half: bigint,
  sticky: boolean,
): boolean {
  if (rounding === DOWN) return sign === 1;
  if (rounding === UP) return sign === 0;
  if (rounding === TRUNCATE) return false;
  if (rest !== half) return rest > half;
  return sticky || (q & 1n) === 1n;
}

/** Rounds to `format`, its precision perhaps lowered (x87 precision control). */
export function round(env: Env, format: Format, x: Exact, precision = format.precision): Num {
  const shift = bitLength(x.sig) - precision;
  const { q, inexact, up } = roundShift(env.rounding, x.sign, x.sig, shift, x.sticky);
  const exp = x.exp + shift;
  const exponent = exp + bitLength(q) - 1;
  if (exponent < format.least) return underflow(env, format, x, precision, { q, inexact, up });
  if (exponent > format.most)
    return overflow(env, format, x.sign, precision, { q, inexact, up }, exp);
  if (inexact) env.flags |= PE;
  env.roundedUp = up;
  return { kind: 'finite', sign: x.sign, sig: q, exp, denormal: false };
}

function overflow(
  env: Env,
  format: Format,
  sign: Sign,
  precision: number,
  { q, inexact, up }: Shifted,
  exp: number,
): Num {
  env.flags |= OE;
  if ((env.masks & OE) === 0) {
    if (inexact) env.flags |= PE;
    env.roundedUp = up;
    return wrapped(env, format, sign, q, exp - env.wrap);
  }
  env.flags |= PE;
  const toInfinity = env.rounding === NEAREST || env.rounding === (sign === 0 ? UP : DOWN);
  env.roundedUp = toInfinity;
  if (toInfinity) return { kind: 'inf', sign };
  const sig = (1n << BigInt(precision)) - 1n;
  return { kind: 'finite', sign, sig, exp: format.most - precision + 1, denormal: false };
}

/** The result of an unmasked overflow or underflow, brought into range if one wrap suffices. */
function wrapped(env: Env, format: Format, sign: Sign, sig: bigint, exp: number): Num {
  const exponent = exp + bitLength(sig) - 1;
  if (exponent >= format.least && exponent <= format.most)
    return { kind: 'finite', sign, sig, exp, denormal: false };
  if (env.wrap !== 0) env.flags |= PE;
  env.roundedUp = exponent > format.most;
  return { kind: exponent > format.most ? 'inf' : 'zero', sign };
}

/** The result is tiny, judged after rounding as if the exponent were unbounded. */
function underflow(env: Env, format: Format, x: Exact, precision: number, free: Shifted): Num {
  if ((env.masks & UE) === 0) {
    env.flags |= UE | (free.inexact ? PE : 0);
    env.roundedUp = free.up;
    return wrapped(env, format, x.sign, free.q, x.exp + bitLength(x.sig) - precision + env.wrap);
  }
  if (env.flushToZero) {
    env.flags |= UE | PE;
    return { kind: 'zero', sign: x.sign };
  }
  const unit = format.least - precision + 1;
  const { q, inexact, up } = roundShift(env.rounding, x.sign, x.sig, unit - x.exp, x.sticky);
  if (inexact) env.flags |= UE | PE;
  env.roundedUp = up;
  if (q === 0n) return { kind: 'zero', sign: x.sign };
  return { kind: 'finite', sign: x.sign, sig: q, exp: unit, denormal: true };
}
