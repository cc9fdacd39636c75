// x87 addition, subtraction, multiplication, division and comparison.

import { add, type Binary, div, mul, sub } from '../softfloat/arithmetic.ts';
import { compare, type Order } from '../softfloat/compare.ts';
import { fromInteger } from '../softfloat/convert.ts';
import { F32, F64, type Num, unpack } from '../softfloat/number.ts';
import { type Cx, defineSlow } from './define.ts';
import { begin, C0, C2, C3, end, isStopped, type Op, pop, put, stValue } from './x87-core.ts';

/** What the other operand is; argument 1 is a register number, the bits, or a sign-extended integer. */
export const FROM_REGISTER = 0;
export const FROM_F32 = 1;
export const FROM_F64 = 2;
export const FROM_INTEGER = 3;

export interface ArithmeticCode {
  /** 0 add, 1 mul, 4 sub, 5 subr, 6 div, 7 divr: the ModRM digit. SDM 2D table A-8. */
  readonly digit: number;
  readonly from: number;
  /** The result goes to ST(i), not ST(0). */
  readonly toOther: boolean;
  readonly pops: boolean;
}

export function arithmeticCode(c: ArithmeticCode): number {
  return c.digit | (c.from << 3) | (c.toOther ? 32 : 0) | (c.pops ? 64 : 0);
}

const FUNCTIONS: Readonly<Record<number, Binary>> = {
  0: add,
  1: mul,
  4: sub,
  5: (env, to, a, b) => sub(env, to, b, a),
  6: div,
  7: (env, to, a, b) => div(env, to, b, a),
};

/** The operand that is not ST(0); null with a stack fault. */
function otherOperand(op: Op, from: number): Num | null {
  const bits = op.state.arg64(1);
  if (from === FROM_REGISTER) return stValue(op, Number(bits));
  if (from === FROM_F32) return unpack(F32, bits);
  if (from === FROM_F64) return unpack(F64, bits);
  return fromInteger(BigInt.asIntN(64, bits));
}

export const x87Arith = defineSlow({
  name: 'x87-arith',
  ref: 'SDM 1 8.3.5',
  pure: true,
  run(cx: Cx) {
    const op = begin(cx);
    const a = stValue(op, 0);
    const b = otherOperand(op, (op.code >> 3) & 3);
    const fn = FUNCTIONS[op.code & 7] ?? add;
    const result = a && b ? fn(op.env, op.target, a, b) : null;
    if (isStopped(op)) return end(op);
    put(op, op.code & 32 ? cx.state.arg32(1) : 0, result);
    if (op.code & 64) pop(op);
    return end(op);
  },
});

/** fcom: 0, fucom: 1; from as above << 1; pops << 3; ST(0) against +0 (ftst): 32. */
export interface CompareCode {
  readonly unordered: boolean;
  readonly from: number;
  readonly pops: number;
  readonly zero?: boolean;
}

export function compareCode(c: CompareCode): number {
  return (c.unordered ? 1 : 0) | (c.from << 1) | (c.pops << 3) | (c.zero ? 32 : 0);
}

/** The order of ST(0) and the other operand; null when an unmasked exception stops it. */
function ordered(op: Op): Order | null {
  const a = stValue(op, 0);
  const from = (op.code >> 1) & 3;
  const b: Num | null = op.code & 32 ? { kind: 'zero', sign: 0 } : otherOperand(op, from);
  const order = a && b ? compare(op.env, a, b, (op.code & 1) === 0) : 'unordered';
  return isStopped(op) ? null : order;
}

function popAll(op: Op): void {
  for (let n = 0; n < ((op.code >> 3) & 3); n++) pop(op);
}

const CODES = { unordered: C0 | C2 | C3, less: C0, equal: C3, greater: 0 } as const;

export const x87Compare = defineSlow({
  name: 'x87-compare',
  ref: 'SDM 1 8.3.6.1',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const order = ordered(op);
    if (order === null) return end(op);
    op.codesKept = 0;
    op.codes |= CODES[order];
    popAll(op);
    return end(op);
  },
});

const EFLAGS = { unordered: 0x45, less: 1, equal: 0x40, greater: 0 } as const;
/** In result 0: the flags are to be set. */
export const FLAGS_VALID = 1 << 31;

/** fcomi and its like. Result 0: ZF PF CF at their places, with FLAGS_VALID. */
export const x87CompareFlags = defineSlow({
  name: 'x87-compare-flags',
  ref: 'SDM 2A FCOMI',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const order = ordered(op);
    cx.state.ret32(0, 0);
    if (order === null) return end(op);
    cx.state.ret32(0, (FLAGS_VALID | EFLAGS[order]) >>> 0);
    popAll(op);
    return end(op);
  },
});
