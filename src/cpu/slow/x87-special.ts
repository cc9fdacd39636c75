// x87 instructions on ST(0) and ST(1) that are neither arithmetic nor transcendental: sign, class, scale, remainder, rounding.

import { propagateNaN, sqrt } from '../softfloat/arithmetic.ts';
import { fromInteger, toIntegral } from '../softfloat/convert.ts';
import {
  bitLength,
  DE,
  F80,
  type Finite,
  IE,
  INDEFINITE,
  isDenormal,
  type Num,
  packExtended,
  unpackExtended,
  ZE,
} from '../softfloat/number.ts';
import { round } from '../softfloat/round.ts';
import { defineSlow } from './define.ts';
import {
  begin,
  C0,
  C1,
  C2,
  C3,
  canPush,
  end,
  INDEFINITE80,
  isStopped,
  type Op,
  push,
  put,
  stValue,
  underflowed,
} from './x87-core.ts';
import { isEmpty, readSt, writeSt } from './x87-registers.ts';

/** fchs (0), fabs (1): the sign bit alone, whatever the value. */
export const x87Sign = defineSlow({
  name: 'x87-sign',
  ref: 'SDM 2A FCHS, FABS',
  pure: true,
  run(cx) {
    const op = begin(cx);
    if (isEmpty(cx.state, 0)) {
      underflowed(op);
      if (!isStopped(op)) put(op, 0, null);
      return end(op);
    }
    const v = readSt(cx.state, 0);
    writeSt(cx.state, 0, { ...v, se: op.code === 0 ? v.se ^ 0x8000 : v.se & 0x7fff });
    return end(op);
  },
});

/** C3 C2 C0 by class. SDM 2A table 3-37. */
export const x87Examine = defineSlow({
  name: 'x87-examine',
  ref: 'SDM 2A FXAM',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const v = readSt(cx.state, 0);
    op.codesKept = 0;
    op.codes = classOf(isEmpty(cx.state, 0), unpackExtended(v)) | (v.se & 0x8000 ? C1 : 0);
    return end(op);
  },
});

function classOf(empty: boolean, n: Num): number {
  if (empty) return C3 | C0;
  switch (n.kind) {
    case 'unsupported':
      return 0;
    case 'nan':
      return C0;
    case 'inf':
      return C2 | C0;
    case 'zero':
      return C3;
    case 'finite':
      return n.denormal ? C3 | C2 : C2;
  }
}

/** Applies `fn` to ST(0). */
function unary(op: Op, fn: (v: Num) => Num): 0 {
  const v = stValue(op, 0);
  const result = v && fn(v);
  if (!isStopped(op)) put(op, 0, result);
  return end(op);
}

export const x87Root = defineSlow({
  name: 'x87-root',
  ref: 'SDM 2A FSQRT',
  pure: true,
  run(cx) {
    const op = begin(cx);
    return unary(op, (v) => sqrt(op.env, op.target, v, v));
  },
});

export const x87RoundInteger = defineSlow({
  name: 'x87-round-integer',
  ref: 'SDM 2A FRNDINT',
  pure: true,
  run(cx) {
    const op = begin(cx);
    return unary(op, (v) => {
      if (isDenormal(v)) op.env.flags |= DE;
      return isStopped(op) ? v : toIntegral(op.env, v, op.env.rounding, false);
    });
  },
});

/** Splits ST(0) into exponent (stays) and significand (pushed). */
export const x87Extract = defineSlow({
  name: 'x87-extract',
  ref: 'SDM 2B FXTRACT',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const v = isEmpty(cx.state, 0) ? stValue(op, 0) : canPush(op) ? stValue(op, 0) : null;
    const parts = v && partsOf(op, v);
    if (isStopped(op)) return end(op);
    put(op, 0, parts ? parts.exponent : null);
    push(op, parts ? packExtended(parts.significand) : INDEFINITE80);
    return end(op);
  },
});

interface Parts {
  readonly exponent: Num;
  readonly significand: Num;
}

function partsOf(op: Op, v: Num): Parts {
  const nan = propagateNaN(op.env, v, v);
  if (nan) return { exponent: nan, significand: nan };
  if (v.kind === 'inf') return { exponent: { kind: 'inf', sign: 0 }, significand: v };
  if (v.kind !== 'finite') {
    op.env.flags |= ZE;
    return { exponent: { kind: 'inf', sign: 1 }, significand: v };
  }
  if (v.denormal) op.env.flags |= DE;
  const length = bitLength(v.sig);
  return {
    exponent: fromInteger(BigInt(v.exp + length - 1)),
    significand: { ...v, exp: 1 - length, denormal: false },
  };
}

/** The largest power that can matter: beyond it every number over- or underflows, wrapped exponents too. */
const MAX_SCALE = 0x10000n;

/** ST(0) times two to the integer part of ST(1). */
export const x87Scale = defineSlow({
  name: 'x87-scale',
  ref: 'SDM 2A FSCALE, table 3-33',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const a = stValue(op, 0);
    const b = stValue(op, 1);
    const result = a && b && scaled(op, a, b);
    if (!isStopped(op)) put(op, 0, result);
    return end(op);
  },
});

function scaled(op: Op, a: Num, b: Num): Num {
  const nan = propagateNaN(op.env, a, b);
  if (nan) return nan;
  if (b.kind === 'inf') return scaledByInfinity(op, a, b.sign);
  if (isDenormal(a) || isDenormal(b)) op.env.flags |= DE;
  if (isStopped(op) || a.kind !== 'finite') return a;
  const by = b.kind === 'finite' ? truncated(b) : 0n;
  const most = by > MAX_SCALE ? MAX_SCALE : by < -MAX_SCALE ? -MAX_SCALE : by;
  if (most === 0n && !a.denormal) return a;
  return round(op.env, F80, { sign: a.sign, sig: a.sig, exp: a.exp + Number(most), sticky: false });
}

function scaledByInfinity(op: Op, a: Num, sign: 0 | 1): Num {
  if (a.kind === (sign === 0 ? 'zero' : 'inf')) {
    op.env.flags |= IE;
    return INDEFINITE;
  }
  if (isDenormal(a)) op.env.flags |= DE;
  return { kind: sign === 0 ? 'inf' : 'zero', sign: (a as Finite).sign };
}

function truncated(n: Finite): bigint {
  if (n.exp > 64) return n.sign === 0 ? MAX_SCALE : -MAX_SCALE;
  const size = n.exp >= 0 ? n.sig << BigInt(n.exp) : n.sig >> BigInt(-n.exp);
  return n.sign === 0 ? size : -size;
}

/** fprem (0) truncates the quotient, fprem1 (1) rounds it to nearest even. Exponents 64 and more apart: a partial remainder. */
export const x87Remainder = defineSlow({
  name: 'x87-remainder',
  ref: 'SDM 2A FPREM, FPREM1',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const a = stValue(op, 0);
    const b = stValue(op, 1);
    op.codesKept &= ~C2;
    const result = a && b && remainder(op, a, b);
    if (!isStopped(op)) put(op, 0, result);
    return end(op);
  },
});

function remainder(op: Op, a: Num, b: Num): Num {
  const nan = propagateNaN(op.env, a, b);
  if (nan) return nan;
  if (a.kind === 'inf' || b.kind === 'zero') {
    op.env.flags |= IE;
    return INDEFINITE;
  }
  if (isDenormal(a) || isDenormal(b)) op.env.flags |= DE;
  if (isStopped(op)) return a;
  op.codesKept = 0;
  if (a.kind !== 'finite' || b.kind !== 'finite') return a;
  return finiteRemainder(op, a, b);
}

function exponentOf(n: Finite): number {
  return n.exp + bitLength(n.sig) - 1;
}

function finiteRemainder(op: Op, a: Finite, b: Finite): Num {
  const apart = exponentOf(a) - exponentOf(b);
  // A partial step takes 32 to 63 off the difference, and leaves its multiple. SDM 2A FPREM: 63 > N > 32.
  const complete = apart < 64;
  const unit = complete ? 0 : apart - ((apart & 31) | 32);
  const bExp = b.exp + unit;
  const exp = Math.min(a.exp, bExp);
  const x = a.sig << BigInt(a.exp - exp);
  const y = b.sig << BigInt(bExp - exp);
  let q = x / y;
  let rest = x - q * y;
  let { sign } = a;
  const isNearer =
    complete && op.code === 1 && (rest * 2n > y || (rest * 2n === y && (q & 1n) === 1n));
  if (isNearer) {
    q += 1n;
    rest = y - rest;
    sign = sign === 0 ? 1 : 0;
  }
  op.codes = complete ? quotientCodes(q) : C2;
  if (rest === 0n) return { kind: 'zero', sign: a.sign };
  return round(op.env, F80, { sign, sig: rest, exp, sticky: false });
}

/** The three low bits of the quotient: C0 C3 C1. */
function quotientCodes(q: bigint): number {
  return (q & 4n ? C0 : 0) | (q & 2n ? C3 : 0) | (q & 1n ? C1 : 0);
}
