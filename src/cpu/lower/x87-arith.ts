// The x87 helper module's arithmetic: significands of 64 bits, results with the bits below them in a second word.

import { BIAS, INTEGER_BIT, type Unpacked, type X87Code } from './x87-code.ts';

/**
 * Each leaves its result in `a`, with the bits below the significand in `low` (the last of them sticky). A zero result
 * has a significand of 0; anything else is normalized.
 */
export function addition(x: X87Code, a: Unpacked, b: Unpacked, low: number): void {
  const { c } = x;
  const distance = c.take('i64');
  const [high, under, t] = [c.take('i64'), c.take('i64'), c.take('i64')];
  const done = c.block();
  // A zero changes nothing; two of different signs are +0.
  c.get(b.m).op('i64.eqz').iff();
  c.get(a.m).op('i64.eqz').iff();
  c.get(a.s).get(b.s).op('i32.and').set(a.s);
  c.end();
  c.br(done);
  c.end();
  c.get(a.m).op('i64.eqz').iff();
  copy(x, b, a);
  c.br(done);
  c.end();
  // The larger one first.
  const other = x.unpacked();
  c.get(a.e).get(b.e).op('i32.lt_u');
  c.get(a.e)
    .get(b.e)
    .op('i32.eq')
    .get(a.m)
    .get(b.m)
    .op('i64.lt_u')
    .op('i32.and')
    .op('i32.or')
    .iff();
  copy(x, a, other);
  copy(x, b, a);
  copy(x, other, b);
  c.end();
  // high, under: b moved right by the distance, the last bit sticky.
  c.get(a.e).get(b.e).op('i32.sub').op('i64.extend_i32_u').tee(distance).op('i64.eqz').iff();
  c.get(b.m).set(high).i64(0n).set(under);
  c.else();
  c.get(distance).i64(64n).op('i64.lt_u').iff();
  c.get(b.m).get(distance).op('i64.shr_u').set(high);
  c.get(b.m).i64(64n).get(distance).op('i64.sub').op('i64.shl').set(under);
  c.else();
  c.i64(0n).set(high);
  c.get(distance).i64(128n).op('i64.lt_u').iff();
  // At 64 the second shift is one by 64, that is by 0: the whole word must not become sticky.
  c.get(b.m).get(distance).i64(64n).op('i64.sub').op('i64.shr_u');
  c.get(b.m).i64(128n).get(distance).op('i64.sub').op('i64.shl').i64(0n).op('i64.ne');
  c.get(distance)
    .i64(64n)
    .op('i64.ne')
    .op('i32.and')
    .op('i64.extend_i32_u')
    .op('i64.or')
    .set(under);
  c.else();
  c.i64(1n).set(under);
  c.end();
  c.end();
  c.end();
  c.get(a.s).get(b.s).op('i32.eq').iff();
  c.get(a.m).get(high).op('i64.add').tee(t).get(high).op('i64.lt_u').iff();
  // A carry: one to the right.
  c.get(t).i64(63n).op('i64.shl').get(under).i64(1n).op('i64.shr_u').op('i64.or');
  c.get(under).i64(1n).op('i64.and').op('i64.or').set(low);
  c.get(t).i64(1n).op('i64.shr_u').i64(INTEGER_BIT).op('i64.or').set(a.m);
  c.get(a.e).i32(1).op('i32.add').set(a.e);
  c.else();
  c.get(t).set(a.m).get(under).set(low);
  c.end();
  c.else();
  c.get(a.m).get(high).op('i64.sub').get(under).i64(0n).op('i64.ne').op('i64.extend_i32_u');
  c.op('i64.sub').set(a.m);
  c.i64(0n).get(under).op('i64.sub').set(low);
  normalize(x, a, low, t);
  c.end();
  c.end();
}

function copy(x: X87Code, from: Unpacked, to: Unpacked): void {
  x.c.get(from.s).set(to.s).get(from.e).set(to.e).get(from.m).set(to.m);
}

/** Moves the difference left until its integer bit is set; nothing left is +0. */
function normalize(x: X87Code, a: Unpacked, low: number, t: number): void {
  const { c } = x;
  c.get(a.m).op('i64.eqz').iff();
  c.get(low).op('i64.eqz').iff();
  c.i32(0).set(a.s);
  c.else();
  c.get(low).op('i64.clz').set(t);
  c.get(low).get(t).op('i64.shl').set(a.m).i64(0n).set(low);
  c.get(a.e).i32(64).op('i32.sub').get(t).op('i32.wrap_i64').op('i32.sub').set(a.e);
  c.end();
  c.else();
  c.get(a.m).op('i64.clz').tee(t).i64(0n).op('i64.ne').iff();
  c.get(a.m).get(t).op('i64.shl').get(low).i64(64n).get(t).op('i64.sub').op('i64.shr_u');
  c.op('i64.or').set(a.m);
  c.get(low).get(t).op('i64.shl').set(low);
  c.get(a.e).get(t).op('i32.wrap_i64').op('i32.sub').set(a.e);
  c.end();
  c.end();
}

/** The sign of a product or quotient; a zero factor ends it with zero. */
function signAndZero(x: X87Code, a: Unpacked, zeros: readonly Unpacked[], done: number): void {
  const { c } = x;
  for (const v of zeros) {
    c.get(v.m).op('i64.eqz').iff();
    c.i64(0n).set(a.m).br(done);
    c.end();
  }
}

export function multiplication(x: X87Code, a: Unpacked, b: Unpacked, low: number): void {
  const { c } = x;
  c.get(a.s).get(b.s).op('i32.xor').set(a.s);
  const done = c.block();
  signAndZero(x, a, [a, b], done);
  x.multiply(a.m, b.m, a.m, low);
  c.get(a.e)
    .get(b.e)
    .op('i32.add')
    .i32(BIAS - 1)
    .op('i32.sub')
    .set(a.e);
  c.get(a.m).i64(0n).op('i64.ge_s').iff();
  c.get(a.m).i64(1n).op('i64.shl').get(low).i64(63n).op('i64.shr_u').op('i64.or').set(a.m);
  c.get(low).i64(1n).op('i64.shl').set(low);
  c.get(a.e).i32(1).op('i32.sub').set(a.e);
  c.end();
  c.end();
}

/** Division by zero is not for here. */
export function division(x: X87Code, a: Unpacked, b: Unpacked, low: number): void {
  const { c } = x;
  c.get(b.m).op('i64.eqz');
  x.failIf();
  c.get(a.s).get(b.s).op('i32.xor').set(a.s);
  const done = c.block();
  signAndZero(x, a, [a], done);
  const next = c.take('i64');
  const rest = c.take('i64');
  c.get(a.e)
    .get(b.e)
    .op('i32.sub')
    .i32(BIAS - 1)
    .op('i32.add')
    .set(a.e);
  // The dividend, 128 bits with its upper half below the divisor: the quotient has 64.
  c.i64(0n).set(next);
  c.get(a.m).get(b.m).op('i64.ge_u').iff();
  c.get(a.m).i64(63n).op('i64.shl').set(next);
  c.get(a.m).i64(1n).op('i64.shr_u').set(a.m);
  c.get(a.e).i32(1).op('i32.add').set(a.e);
  c.end();
  longDivision(x, a.m, next, b.m, rest);
  // Twice the remainder against the divisor tells the bits below; it may overflow, so compare the remainder with what is left.
  const against = () => c.get(rest).get(b.m).get(rest).op('i64.sub');
  c.i64(3n << 62n).i64(1n << 62n);
  against();
  c.op('i64.gt_u').op('select');
  c.i64(INTEGER_BIT);
  against();
  c.op('i64.ne').op('select').set(low);
  c.get(rest).op('i64.eqz').iff();
  c.i64(0n).set(low);
  c.end();
  c.end();
}

/**
 * `quotient` (in: upper half of the dividend, below the divisor, whose top bit is set) and `rest` of a division of 128
 * bits by 64, in two digits of 32 bits. Knuth, TAOCP 2, 4.3.1 algorithm D.
 */
function longDivision(
  x: X87Code,
  quotient: number,
  next: number,
  divisor: number,
  rest: number,
): void {
  const { c } = x;
  const [d1, d0, q, r, q1] = ['i64', 'i64', 'i64', 'i64', 'i64'].map((t) => c.take(t as 'i64')) as [
    number,
    number,
    number,
    number,
    number,
  ];
  c.get(divisor).i64(32n).op('i64.shr_u').set(d1);
  c.get(divisor).i64(0xffffffffn).op('i64.and').set(d0);
  c.get(quotient).set(rest);
  for (const shift of [32n, 0n]) {
    const digit = () => c.get(next).i64(shift).op('i64.shr_u').i64(0xffffffffn).op('i64.and');
    c.get(rest).get(d1).op('i64.div_u').set(q);
    c.get(rest).get(q).get(d1).op('i64.mul').op('i64.sub').set(r);
    const ends = c.block();
    const again = c.loop();
    // Too large? Then q has 33 bits, or q * d0 is above r and the next digit.
    c.get(q).i64(32n).op('i64.shr_u').i64(0n).op('i64.ne');
    c.get(q).get(d0).op('i64.mul').get(r).i64(32n).op('i64.shl');
    digit();
    c.op('i64.or').op('i64.gt_u').op('i32.or').op('i32.eqz').brIf(ends);
    c.get(q).i64(1n).op('i64.sub').set(q);
    c.get(r).get(d1).op('i64.add').tee(r).i64(32n).op('i64.shr_u').op('i64.eqz').brIf(again);
    c.end();
    c.end();
    // Modulo 2^64, which is enough: what is left is below the divisor.
    c.get(rest).i64(32n).op('i64.shl');
    digit();
    c.op('i64.or').get(q).get(divisor).op('i64.mul').op('i64.sub').set(rest);
    if (shift === 32n) c.get(q).set(q1);
  }
  c.get(q1).i64(32n).op('i64.shl').get(q).op('i64.add').set(quotient);
}

/**
 * The root of a normal number, from an estimate in double precision: N = n1 * 2^64 + n0 is in [2^126, 2^128), s is to be
 * its integer root, one step of Newton's brings s within one of it, and the remainder N - s * s corrects the rest.
 */
export function squareRoot(x: X87Code, v: Unpacked, low: number): void {
  const { c } = x;
  const [n1, n0, s, r1, r0] = Array.from({ length: 5 }, () => c.take('i64')) as [
    number,
    number,
    number,
    number,
    number,
  ];
  // An odd exponent takes one bit more of the significand. BIAS is odd.
  c.get(v.e).i32(1).op('i32.and').iff();
  c.get(v.m).i64(1n).op('i64.shr_u').set(n1).get(v.m).i64(63n).op('i64.shl').set(n0);
  c.else();
  c.get(v.m).set(n1).i64(0n).set(n0);
  c.end();
  c.get(v.e).i32(BIAS).op('i32.sub').i32(1).op('i32.shr_s').i32(BIAS).op('i32.add').set(v.e);
  c.get(n1)
    .op('f64.convert_i64_u')
    .op('f64.sqrt')
    .f64(2 ** 32)
    .op('f64.mul');
  truncateUnsigned(x, s);
  remainder(x, n1, n0, s, r1, r0);
  // s += (N - s * s) / 2s
  c.get(r1)
    .op('f64.convert_i64_s')
    .f64(2 ** 64)
    .op('f64.mul')
    .get(r0)
    .op('f64.convert_i64_u')
    .op('f64.add');
  c.get(s)
    .op('f64.convert_i64_u')
    .f64(2)
    .op('f64.mul')
    .op('f64.div')
    .op('f64.floor')
    .op('i64.trunc_f64_s');
  c.get(s).op('i64.add').set(s);
  remainder(x, n1, n0, s, r1, r0);
  // While the remainder is negative, s is too large.
  const small = c.block();
  const lower = c.loop();
  c.get(r1).i64(0n).op('i64.ge_s').brIf(small);
  c.get(s).i64(1n).op('i64.sub').set(s);
  remainder(x, n1, n0, s, r1, r0);
  c.br(lower);
  c.end();
  c.end();
  // While it is above 2s, too small.
  const right = c.block();
  const higher = c.loop();
  c.get(r1).get(s).i64(63n).op('i64.shr_u').op('i64.gt_s');
  c.get(r1).get(s).i64(63n).op('i64.shr_u').op('i64.eq');
  c.get(r0).get(s).i64(1n).op('i64.shl').op('i64.gt_u').op('i32.and').op('i32.or');
  c.op('i32.eqz').brIf(right);
  c.get(s).i64(1n).op('i64.add').set(s);
  remainder(x, n1, n0, s, r1, r0);
  c.br(higher);
  c.end();
  c.end();
  c.get(s).set(v.m);
  // Above half when the remainder is above s; a tie cannot be.
  c.i64(3n << 62n).i64(1n << 62n);
  c.get(r1).i64(0n).op('i64.ne').get(r0).get(s).op('i64.gt_u').op('i32.or').op('select').set(low);
  c.get(r1).get(r0).op('i64.or').op('i64.eqz').iff();
  c.i64(0n).set(low);
  c.end();
}

/** The f64 on the stack, in [2^63, 2^64], as an unsigned integer, the largest one at most. */
function truncateUnsigned(x: X87Code, to: number): void {
  const { c } = x;
  const f = c.take('f64');
  c.tee(f)
    .f64(2 ** 64)
    .op('f64.ge')
    .iff();
  c.i64(-1n).set(to);
  c.else();
  c.get(f).op('i64.trunc_f64_u').set(to);
  c.end();
}

/** r1:r0 = n1:n0 - s * s. */
function remainder(x: X87Code, n1: number, n0: number, s: number, r1: number, r0: number): void {
  const { c } = x;
  x.multiply(s, s, r1, r0);
  c.get(n1).get(r1).op('i64.sub').get(n0).get(r0).op('i64.lt_u').op('i64.extend_i32_u');
  c.op('i64.sub').set(r1);
  c.get(n0).get(r0).op('i64.sub').set(r0);
}
