// The x87 transcendental functions on finite, nonzero arguments: results good to far more than 64 bits, still to be rounded.

import { arctan, artanh, expMinus1, ln2, pi, sinCos } from './fixed.ts';
import { bitLength, type Finite, type Num, type Sign } from './number.ts';
import type { Exact } from './round.ts';

/** Bits of fixed-point work; a result is good to at least this many less the smallness of the argument (LIMIT). */
const BITS = 320n;
/** Arguments smaller than two to this take the first term of the series: the second lies far below the last bit. */
const LIMIT = -130;

const LN2 = ln2(BITS);
const PI = pi(BITS);
/** Pi as the x87 has it, 66 bits of it: argument reduction is exact for this number. SDM 1 8.3.8. */
const PI_66 = { sig: 0x3243f6a8885a308d3n, exp: -64 };

/** The power of two of a number's top bit. */
export function exponentOf(n: Finite): number {
  return n.exp + bitLength(n.sig) - 1;
}

function toFixed(n: Finite): bigint {
  const shift = BigInt(n.exp) + BITS;
  const size = shift >= 0n ? n.sig << shift : n.sig >> -shift;
  return n.sign === 0 ? size : -size;
}

/** A fixed-point result: never exact, so the rounding is told that more follows. */
function result(n: bigint, bits = BITS): Exact {
  const sign: Sign = n < 0n ? 1 : 0;
  return { sign, sig: n < 0n ? -n : n, exp: -Number(bits), sticky: true };
}

/** x, a trifle smaller or larger in size. */
function nearly(x: Finite, larger: boolean): Exact {
  const sig = (x.sig << 80n) + (larger ? 0n : -1n);
  return { sign: x.sign, sig, exp: x.exp - 80, sticky: true };
}

function times(x: Exact, sign: Sign, sig: bigint, exp: number): Exact {
  return { sign: (x.sign ^ sign) as Sign, sig: x.sig * sig, exp: x.exp + exp, sticky: x.sticky };
}

/** 2^x - 1 for |x| at most 1. */
export function exp2Minus1(x: Finite): Exact {
  if (exponentOf(x) < LIMIT) return times(result(LN2), x.sign, x.sig, x.exp);
  return result(expMinus1((toFixed(x) * LN2) >> BITS, BITS));
}

/** log2 of 1 + z from s = z / (2 + z), or of any a / b from (a - b) / (a + b): 2 artanh(s) / ln 2. */
function log2FromRatio(s: bigint): bigint {
  return ((2n * artanh(s, BITS)) << BITS) / LN2;
}

/** y * log2(x) for positive x other than 1. Exact where x is a power of two. */
export function yLog2(y: Finite, x: Finite): Exact {
  const length = bitLength(x.sig);
  let exponent = BigInt(x.exp + length - 1);
  let one = 1n << BigInt(length - 1);
  if (x.sig === one) {
    const sign: Sign = exponent < 0n ? 1 : 0;
    const n = { sign, sig: exponent < 0n ? -exponent : exponent, exp: 0, sticky: false };
    return times(n, y.sign, y.sig, y.exp);
  }
  // Bring the mantissa near 1, from 3/4 to 3/2, so that the logarithm of a number near 1 keeps its bits.
  if (x.sig * 2n > one * 3n) {
    one <<= 1n;
    exponent += 1n;
  }
  const s = ((x.sig - one) << BITS) / (x.sig + one);
  return times(result((exponent << BITS) + log2FromRatio(s)), y.sign, y.sig, y.exp);
}

/** y * log2(x + 1) for |x| below 1 - sqrt(1/2). */
export function yLog2Plus1(y: Finite, x: Finite): Exact {
  if (exponentOf(x) < LIMIT) {
    const overLn2 = result((1n << (2n * BITS)) / LN2);
    return times(times(overLn2, x.sign, x.sig, x.exp), y.sign, y.sig, y.exp);
  }
  const z = toFixed(x);
  const s = (z << BITS) / ((2n << BITS) + z);
  return times(result(log2FromRatio(s)), y.sign, y.sig, y.exp);
}

export interface Reduced {
  /** The quarter turns taken off, modulo 4. */
  readonly quarter: number;
  readonly sin: Exact;
  readonly cos: Exact;
}

/** Sine and cosine of what is left of x after whole quarter turns. */
function reduced(x: Finite): Reduced {
  if (exponentOf(x) < LIMIT)
    return { quarter: 0, sin: nearly(x, false), cos: result((1n << BITS) - 1n) };
  // Both numbers in units of two to the `exp`: halves of pi are exact there.
  const exp = Math.min(x.exp, PI_66.exp - 1);
  const size = x.sig << BigInt(x.exp - exp);
  const half = PI_66.sig << BigInt(PI_66.exp - 1 - exp);
  const quarters = (2n * size + half) / (2n * half);
  const rest = size - quarters * half;
  const shift = BITS + BigInt(exp);
  const fixed = shift >= 0n ? rest << shift : rest >> -shift;
  const { sin, cos } = sinCos(fixed, BITS);
  return turned(x.sign, Number(quarters & 3n), sin, cos);
}

/** For negative x everything is mirrored. */
function turned(sign: Sign, quarter: number, sin: bigint, cos: bigint): Reduced {
  if (sign === 0) return { quarter, sin: result(sin), cos: result(cos) };
  return { quarter: (4 - quarter) & 3, sin: result(-sin), cos: result(cos) };
}

const negate = (x: Exact): Exact => ({ ...x, sign: x.sign === 0 ? 1 : 0 });

export function sine(x: Finite): Exact {
  const { quarter, sin, cos } = reduced(x);
  const v = quarter & 1 ? cos : sin;
  return quarter & 2 ? negate(v) : v;
}

export function cosine(x: Finite): Exact {
  const { quarter, sin, cos } = reduced(x);
  const v = quarter & 1 ? sin : cos;
  return quarter === 1 || quarter === 2 ? negate(v) : v;
}

export function tangent(x: Finite): Exact {
  if (exponentOf(x) < LIMIT) return nearly(x, true);
  const { quarter, sin, cos } = reduced(x);
  return quarter & 1 ? negate(quotient(cos, sin)) : quotient(sin, cos);
}

function quotient(a: Exact, b: Exact): Exact {
  const sig = (a.sig << BITS) / b.sig;
  return { sign: (a.sign ^ b.sign) as Sign, sig, exp: a.exp - b.exp - Number(BITS), sticky: true };
}

/** A multiple of pi / 4, signed. */
export function quarterPi(sign: Sign, quarters: bigint): Exact {
  return { sign, sig: PI * quarters, exp: -Number(BITS) - 2, sticky: true };
}

/** The angle of the point (x, y), with the sign of y. */
export function arctan2(y: Finite, x: Finite): Exact {
  const apart = exponentOf(y) - exponentOf(x);
  if (apart < LIMIT && x.sign === 0) return tinyRatio(y, x);
  const steep = apart > 0 || (apart === 0 && isGreater(y, x));
  const [small, large] = steep ? [x, y] : [y, x];
  const shift = BITS + BigInt(small.exp - large.exp);
  const ratio = shift >= 0n ? (small.sig << shift) / large.sig : small.sig / (large.sig << -shift);
  const angle = arctan(ratio, BITS);
  const first = steep ? (PI >> 1n) - angle : angle;
  return { ...result(x.sign === 0 ? first : PI - first), sign: y.sign };
}

function isGreater(a: Finite, b: Finite): boolean {
  const exp = Math.min(a.exp, b.exp);
  return a.sig << BigInt(a.exp - exp) > b.sig << BigInt(b.exp - exp);
}

/** arctan t is t, a trifle less. */
function tinyRatio(y: Finite, x: Finite): Exact {
  const shift = 200;
  const dividend = y.sig << BigInt(shift);
  const q = dividend / x.sig;
  const exact = q * x.sig === dividend;
  return { sign: y.sign, sig: exact ? q - 1n : q, exp: y.exp - x.exp - shift, sticky: true };
}

export function isOne(n: Num): boolean {
  return n.kind === 'finite' && n.sign === 0 && isOneInSize(n);
}
export function isOneInSize(n: Finite): boolean {
  return exponentOf(n) === 0 && n.sig === 1n << BigInt(-n.exp);
}
