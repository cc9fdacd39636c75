// Addition, subtraction, multiplication, division and square root: exact, then rounded once. SDM 1 4.8.

import {
  bitLength,
  DE,
  type Finite,
  type Format,
  IE,
  INDEFINITE,
  isDenormal,
  isSignaling,
  type NaN80,
  type Num,
  quieted,
  type Sign,
  ZE,
} from './number.ts';
import { DOWN, type Env, type Exact, round } from './round.ts';

/** A result, or one that is still to be rounded. */
type Result = Num | Exact;

function isExact(r: Result): r is Exact {
  return 'sticky' in r;
}

export interface Target {
  readonly format: Format;
  /** Lower than the format's under x87 precision control. */
  readonly precision: number;
}

export type Binary = (env: Env, to: Target, a: Num, b: Num) => Num;

function invalid(env: Env): Num {
  env.flags |= IE;
  return INDEFINITE;
}

/** The result when an operand is a NaN; raises IE for signaling ones. SDM 1 tables 4-7, 4-8. */
export function propagateNaN(env: Env, a: Num, b: Num): Num | null {
  if (a.kind === 'unsupported' || b.kind === 'unsupported') return invalid(env);
  if (a.kind !== 'nan' && b.kind !== 'nan') return null;
  if (isSignaling(a) || isSignaling(b)) env.flags |= IE;
  if (a.kind !== 'nan') return quieted(b as NaN80);
  if (b.kind !== 'nan' || env.nans === 'first') return quieted(a);
  return quieted(largerNaN(a, b));
}

/** x87: a quiet NaN wins over a signaling one; else the larger significand, else the positive one. */
function largerNaN(a: NaN80, b: NaN80): NaN80 {
  if (isSignaling(a) !== isSignaling(b)) return isSignaling(a) ? b : a;
  if (a.sig !== b.sig) return a.sig > b.sig ? a : b;
  return a.sign === 0 ? a : b;
}

function noteDenormals(env: Env, a: Num, b: Num): void {
  if (isDenormal(a) || isDenormal(b)) env.flags |= DE;
}

function finish(env: Env, to: Target, r: Result): Num {
  return isExact(r) ? round(env, to.format, r, to.precision) : r;
}

/** An operation of two operands: NaNs and denormals are dealt with here. */
function binary(compute: (env: Env, to: Target, a: Num, b: Num) => Result): Binary {
  return (env, to, a, b) => {
    const nan = propagateNaN(env, a, b);
    if (nan) return nan;
    const before = env.flags;
    env.flags = 0;
    const r = compute(env, to, a, b);
    // Invalid operations and divisions by zero come before the denormal exception. SDM 1 4.9.2.
    if ((env.flags & (IE | ZE)) === 0) noteDenormals(env, a, b);
    env.flags |= before;
    // An unmasked pre-computation exception stops before rounding: no post-computation flags.
    return (env.flags & ~env.masks & (IE | DE | ZE)) !== 0 && isExact(r)
      ? INDEFINITE
      : finish(env, to, r);
  };
}

type Operand = Num & { sign: Sign };
const negated = (n: Num): Num => ('sign' in n ? { ...n, sign: n.sign === 0 ? 1 : 0 } : n);

function sum(env: Env, to: Target, a0: Num, b0: Num): Result {
  const a = a0 as Operand;
  const b = b0 as Operand;
  if (a.kind === 'inf') return b.kind === 'inf' && a.sign !== b.sign ? invalid(env) : a;
  if (b.kind === 'inf') return b;
  if (a.kind === 'zero' && b.kind === 'zero') return a.sign === b.sign ? a : zeroOfSum(env);
  if (a.kind === 'zero') return exactly(b as Finite);
  if (b.kind === 'zero') return exactly(a as Finite);
  return sumOfFinite(env, to, a as Finite, b as Finite);
}

/** x - x is +0, or -0 when rounding down. SDM 1 4.8.3.1. */
function zeroOfSum(env: Env): Num {
  return { kind: 'zero', sign: env.rounding === DOWN ? 1 : 0 };
}

function exactly(n: Finite): Exact {
  return { sign: n.sign, sig: n.sig, exp: n.exp, sticky: false };
}

const FAR = 200;

function sumOfFinite(env: Env, to: Target, a: Finite, b: Finite): Result {
  const [high, low] = a.exp >= b.exp ? [a, b] : [b, a];
  // An operand wholly below the other's last bit, and far from it, only makes the result inexact: one bit stands for it.
  const distance = high.exp - low.exp;
  const far = distance > FAR && bitLength(low.sig) <= distance;
  const shift = far ? to.format.precision + 4 : distance;
  const x = high.sig << BigInt(shift);
  const y = far ? 1n : low.sig;
  const signed = (high.sign === 0 ? x : -x) + (low.sign === 0 ? y : -y);
  if (signed === 0n) return zeroOfSum(env);
  const sign: Sign = signed < 0n ? 1 : 0;
  return { sign, sig: signed < 0n ? -signed : signed, exp: high.exp - shift, sticky: false };
}

export const add: Binary = binary(sum);

export const sub: Binary = (env, to, a, b) => {
  const nan = propagateNaN(env, a, b);
  return nan ?? add(env, to, a, negated(b));
};

export const mul: Binary = binary((env, _to, a0, b0) => {
  const a = a0 as Operand;
  const b = b0 as Operand;
  const sign = (a.sign ^ b.sign) as Sign;
  if (a.kind === 'inf' || b.kind === 'inf')
    return a.kind === 'zero' || b.kind === 'zero' ? invalid(env) : { kind: 'inf', sign };
  if (a.kind !== 'finite' || b.kind !== 'finite') return { kind: 'zero', sign };
  return { sign, sig: a.sig * b.sig, exp: a.exp + b.exp, sticky: false };
});

export const div: Binary = binary((env, to, a0, b0) => {
  const a = a0 as Operand;
  const b = b0 as Operand;
  const sign = (a.sign ^ b.sign) as Sign;
  if (a.kind === 'inf') return b.kind === 'inf' ? invalid(env) : { kind: 'inf', sign };
  if (b.kind === 'inf') return { kind: 'zero', sign };
  if (b.kind === 'zero') {
    if (a.kind === 'zero') return invalid(env);
    env.flags |= ZE;
    return { kind: 'inf', sign };
  }
  if (a.kind !== 'finite' || b.kind !== 'finite') return { kind: 'zero', sign };
  const shift = Math.max(0, to.format.precision + 3 + bitLength(b.sig) - bitLength(a.sig));
  const dividend = a.sig << BigInt(shift);
  const sig = dividend / b.sig;
  return { sign, sig, exp: a.exp - shift - b.exp, sticky: sig * b.sig !== dividend };
});

/** The second operand is not looked at. */
export const sqrt: Binary = (env, to, a) =>
  binary((_, __, x) => {
    if (x.kind === 'zero') return x;
    if ((x as Operand).sign === 1) return invalid(env);
    if (x.kind !== 'finite') return x;
    let shift = Math.max(0, 2 * (to.format.precision + 3) - bitLength(x.sig));
    if ((x.exp - shift) % 2 !== 0) shift += 1;
    const radicand = x.sig << BigInt(shift);
    const sig = integerRoot(radicand);
    return { sign: 0, sig, exp: (x.exp - shift) / 2, sticky: sig * sig !== radicand };
  })(env, to, a, a);

/** The largest integer whose square is not above `n`. */
export function integerRoot(n: bigint): bigint {
  let x = 1n << BigInt(Math.ceil(bitLength(n) / 2));
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}
