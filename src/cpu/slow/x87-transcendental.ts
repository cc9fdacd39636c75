// The x87 transcendental instructions: special values, ranges and stack, around softfloat/transcendental.ts.

import { propagateNaN } from '../softfloat/arithmetic.ts';
import {
  DE,
  F80,
  type Finite,
  IE,
  INDEFINITE,
  isDenormal,
  type Num,
  packExtended,
  type Sign,
  ZE,
} from '../softfloat/number.ts';
import { type Exact, round } from '../softfloat/round.ts';
import {
  arctan2,
  cosine,
  exp2Minus1,
  exponentOf,
  isOne,
  isOneInSize,
  quarterPi,
  sine,
  tangent,
  yLog2,
  yLog2Plus1,
} from '../softfloat/transcendental.ts';
import { defineSlow } from './define.ts';
import {
  begin,
  C2,
  canPush,
  end,
  INDEFINITE80,
  isStopped,
  type Op,
  pop,
  push,
  put,
  stValue,
} from './x87-core.ts';

/** Trigonometric functions refuse arguments of this size: C2 says so. SDM 1 8.3.10. */
const TOO_LARGE = 63;
const ONE: Finite = { kind: 'finite', sign: 0, sig: 1n, exp: 0, denormal: false };

function invalid(op: Op): Num {
  op.env.flags |= IE;
  return INDEFINITE;
}

/** Precision control does not apply to these. SDM 1 8.1.5.2. */
function rounded(op: Op, x: Exact): Num {
  return isStopped(op) ? INDEFINITE : round(op.env, F80, x);
}

export const x87Exp = defineSlow({
  name: 'x87-f2xm1',
  ref: 'SDM 2A F2XM1',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const x = stValue(op, 0);
    const v = x && exponential(op, x);
    if (!isStopped(op)) put(op, 0, v);
    return end(op);
  },
});

function exponential(op: Op, x: Num): Num {
  const nan = propagateNaN(op.env, x, x);
  if (nan) return nan;
  if (x.kind === 'inf') return x.sign === 0 ? x : { ...ONE, sign: 1 };
  if (x.kind !== 'finite') return x;
  if (x.denormal) op.env.flags |= DE;
  if (isOneInSize(x))
    return x.sign === 0 ? ONE : { kind: 'finite', sign: 1, sig: 1n, exp: -1, denormal: false };
  // Outside -1 to 1 the result is undefined: the argument stays.
  return exponentOf(x) >= 0 ? x : rounded(op, exp2Minus1(x));
}

/** fyl2x, fyl2xp1, fpatan: a function of ST(1) and ST(0) that replaces both. */
function twoOperands(name: string, ref: string, fn: (op: Op, y: Num, x: Num) => Num) {
  return defineSlow({
    name,
    ref,
    run(cx) {
      const op = begin(cx);
      const x = stValue(op, 0);
      const y = stValue(op, 1);
      const v = x && y && (propagateNaN(op.env, x, y) ?? fn(op, y, x));
      if (isStopped(op)) return end(op);
      put(op, 1, v);
      pop(op);
      return end(op);
    },
  });
}

type Ordinary = Exclude<Num, { kind: 'nan' } | { kind: 'unsupported' }>;

function noteDenormals(op: Op, x: Num, y: Num): void {
  if (isDenormal(x) || isDenormal(y)) op.env.flags |= DE;
}

/** SDM 2B table 3-46 (FYL2X). */
export const x87Log = twoOperands('x87-fyl2x', 'SDM 2A FYL2X', (op, y0, x0) => {
  const y = y0 as Ordinary;
  const x = x0 as Ordinary;
  if (x.kind !== 'zero' && x.sign === 1) return invalid(op);
  if (x.kind === 'zero') return logOfZero(op, y);
  if (isOne(x)) {
    if (y.kind === 'inf') return invalid(op);
    noteDenormals(op, x, y);
    return { kind: 'zero', sign: y.sign };
  }
  const below = x.kind === 'finite' && exponentOf(x) < 0;
  const sign = (y.sign ^ (below ? 1 : 0)) as Sign;
  if (y.kind === 'zero' && x.kind === 'inf') return invalid(op);
  noteDenormals(op, x, y);
  if (y.kind === 'zero') return { kind: 'zero', sign };
  if (y.kind === 'inf' || x.kind !== 'finite') return { kind: 'inf', sign };
  return rounded(op, yLog2(y, x));
});

function logOfZero(op: Op, y: Ordinary): Num {
  if (y.kind === 'zero') return invalid(op);
  if (y.kind === 'finite') op.env.flags |= ZE;
  return { kind: 'inf', sign: y.sign === 0 ? 1 : 0 };
}

/** SDM 2B FYL2XP1: outside its range the result is undefined; ours is that of the formula, or invalid. */
export const x87LogPlus1 = twoOperands('x87-fyl2xp1', 'SDM 2A FYL2XP1', (op, y0, x0) => {
  const y = y0 as Ordinary;
  const x = x0 as Ordinary;
  const sign = (y.sign ^ x.sign) as Sign;
  if (x.kind === 'inf') {
    if (x.sign === 1 || y.kind === 'zero') return invalid(op);
    return { kind: 'inf', sign };
  }
  if (x.kind === 'zero') {
    if (y.kind === 'inf') return invalid(op);
    noteDenormals(op, x, y);
    return { kind: 'zero', sign };
  }
  noteDenormals(op, x, y);
  if (y.kind === 'zero' || y.kind === 'inf') return { kind: y.kind, sign };
  if (exponentOf(x) < 0) return rounded(op, yLog2Plus1(y, x));
  return x.sign === 1 ? invalid(op) : rounded(op, yLog2(y, plusOne(x)));
});

function plusOne(x: Finite): Finite {
  const exp = Math.min(x.exp, 0);
  return { ...x, sig: (x.sig << BigInt(x.exp - exp)) + (1n << BigInt(-exp)), exp };
}

/** SDM 2A table 3-30 (FPATAN). */
export const x87Arctan = twoOperands('x87-fpatan', 'SDM 2A FPATAN', (op, y0, x0) => {
  const y = y0 as Ordinary;
  const x = x0 as Ordinary;
  noteDenormals(op, x, y);
  const quarters = specialAngle(y, x);
  if (quarters === 0n) return { kind: 'zero', sign: y.sign };
  if (quarters !== null) return rounded(op, quarterPi(y.sign, quarters));
  return rounded(op, arctan2(y as Finite, x as Finite));
});

/** The angle in quarters of pi where an operand is zero or infinite; null for two finite ones. */
function specialAngle(y: Ordinary, x: Ordinary): bigint | null {
  if (y.kind === 'inf') return x.kind !== 'inf' ? 2n : x.sign === 0 ? 1n : 3n;
  if (x.kind === 'inf' || y.kind === 'zero') return x.sign === 0 ? 0n : 4n;
  return x.kind === 'zero' ? 2n : null;
}

/** Whether the argument is in range; sets C2 if not. */
function inRange(op: Op, x: Num): boolean {
  if (x.kind !== 'finite' || exponentOf(x) < TOO_LARGE) return true;
  op.codes |= C2;
  return false;
}

/** A trigonometric function of ST(0); for zeros, `atZero`. */
function trigonometric(op: Op, x: Num, fn: (x: Finite) => Exact, atZero: (x: Num) => Num): Num {
  const nan = propagateNaN(op.env, x, x);
  if (nan) return nan;
  if (x.kind === 'inf') return invalid(op);
  if (x.kind !== 'finite') return atZero(x);
  if (x.denormal) op.env.flags |= DE;
  return rounded(op, fn(x));
}

const itself = (x: Num): Num => x;
const one = (): Num => ONE;

/** fsin (0), fcos (1). */
export const x87Sine = defineSlow({
  name: 'x87-sine',
  ref: 'SDM 2A FSIN, FCOS',
  pure: true,
  run(cx) {
    const op = begin(cx);
    op.codesKept &= ~C2;
    const x = stValue(op, 0);
    if (x && !inRange(op, x)) return end(op);
    const fn = op.code === 0 ? sine : cosine;
    const v = x && trigonometric(op, x, fn, op.code === 0 ? itself : one);
    if (!isStopped(op)) put(op, 0, v);
    return end(op);
  },
});

/** fsincos (0): sine stays, cosine is pushed. fptan (1): tangent stays, 1 is pushed. */
export const x87SineCosine = defineSlow({
  name: 'x87-sine-cosine',
  ref: 'SDM 2A FSINCOS, FPTAN',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const x = stValue(op, 0);
    op.codesKept &= ~C2;
    const room = x !== null && canPush(op);
    if (x && room && !inRange(op, x)) return end(op);
    const first = x && room ? trigonometric(op, x, op.code === 0 ? sine : tangent, itself) : null;
    const second = x && room ? secondResult(op, x) : null;
    if (isStopped(op)) return end(op);
    put(op, 0, first);
    push(op, second ? packExtended(second) : INDEFINITE80);
    return end(op);
  },
});

/** An invalid operand or a NaN appears in both results. */
function secondResult(op: Op, x: Num): Num {
  if (op.code === 0 || x.kind === 'nan' || x.kind === 'inf' || x.kind === 'unsupported')
    return trigonometric(op, x, cosine, one);
  return ONE;
}
