// The x87 helper module: common instructions on normal numbers and zeros, in 64-bit integers; the rest is for the slow paths.

import { COPY_UNCHECKED, LOAD_F32, LOAD_F64, LOAD_INTEGER } from '../slow/x87-move.ts';
import { RET_AT } from '../state.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import { addition, division, multiplication, squareRoot } from './x87-arith.ts';
import {
  BIAS,
  CODE,
  FCW_PC,
  FCW_PM,
  FCW_RC,
  FDP,
  FIP,
  INTEGER_BIT,
  OPERAND,
  ST,
  type Unpacked,
  X87Code,
} from './x87-code.ts';

/** Slow paths that have a quick way here, in the order of the module's dispatch. Their codes are those of `slow/x87-*`. */
const QUICK: readonly (readonly [string, (x: X87Code) => void])[] = [
  ['x87-arith', arith],
  ['x87-load', load],
  ['x87-load-extended', loadExtended],
  ['x87-store', store],
  ['x87-store-integer', storeInteger],
  ['x87-store-register', storeRegister],
  ['x87-exchange', exchange],
  ['x87-sign', sign],
  ['x87-constant', constant],
  ['x87-root', root],
  ['x87-compare', compare],
  ['x87-compare-flags', compareFlags],
];

const numbers = new Map(QUICK.map(([name], n) => [name, n]));

/** Number of the quick way of a slow path; undefined: it has none. */
export function x87QuickOf(name: string): number | undefined {
  return numbers.get(name);
}

/**
 * Exports `x87(number, state, code, operand, fip, fdp)` -> 1: done, 0: nothing has happened. All exceptions but the
 * masked inexact one are for the slow paths, which mean the same.
 */
export function x87Module(): Uint8Array {
  const m = new ModuleBuilder();
  m.importMemory('e', 'memory', 1);
  const type = m.type(['i32', 'i32', 'i64', 'i64', 'i64'], ['i32']);
  const functions = QUICK.map(([, emit]) => {
    const c = new Code(5);
    emit(new X87Code(c));
    c.op('unreachable');
    return m.addFunction(type, c.body());
  });
  const c = new Code(6);
  const cases = functions.map(() => c.block()).reverse();
  c.get(0).brTable(cases, cases[0] as number);
  for (const f of functions) {
    c.end();
    for (const n of [ST, CODE, OPERAND, FIP, FDP]) c.get(n + 1);
    c.call(f).op('return');
  }
  c.op('unreachable');
  m.addFunction(m.type(X87_QUICK, ['i32']), c.body(), 'x87');
  return m.encode();
}

/** Its parameters. */
export const X87_QUICK = ['i32', 'i32', 'i32', 'i64', 'i64', 'i64'] as const;

const index = (x: X87Code) => (): void => {
  x.c.get(OPERAND).op('i32.wrap_i64');
};
const first = (x: X87Code) => (): void => {
  x.c.i32(0);
};
const code = (x: X87Code, mask: number) => (): void => {
  x.c.get(CODE).i32(mask).op('i32.and');
};

/** The operand that is not ST(0): `shift` to where the code says which kind (see x87-arith.ts). */
function otherOperand(x: X87Code, shift: number): Unpacked {
  const { c } = x;
  const v = x.unpacked();
  const ends = c.block();
  const [integer, double, single, register] = [c.block(), c.block(), c.block(), c.block()];
  c.get(CODE).i32(shift).op('i32.shr_u').i32(3).op('i32.and');
  c.brTable([register, single, double], integer);
  c.end();
  const r = x.unpackRegister(x.used(index(x)));
  c.get(r.s).set(v.s).get(r.e).set(v.e).get(r.m).set(v.m).br(ends);
  c.end();
  x.unpackFloat(v, 23);
  c.br(ends);
  c.end();
  x.unpackFloat(v, 52);
  c.br(ends);
  c.end();
  x.unpackInteger(v);
  c.end();
  return v;
}

/** To nearest, to 64 bits, with the inexact exception masked. */
function plainControl(x: X87Code): void {
  x.control(FCW_PM | FCW_PC | FCW_RC, FCW_PM | FCW_PC);
}

function arith(x: X87Code): void {
  const { c } = x;
  plainControl(x);
  const a = x.unpackRegister(x.used(first(x)));
  const b = otherOperand(x, 3);
  // subr and divr (5, 7) are sub and div with the operands exchanged.
  const t = x.unpacked();
  c.get(CODE).i32(5).op('i32.and').i32(5).op('i32.eq').iff();
  c.get(a.s).set(t.s).get(a.e).set(t.e).get(a.m).set(t.m);
  c.get(b.s).set(a.s).get(b.e).set(a.e).get(b.m).set(a.m);
  c.get(t.s).set(b.s).get(t.e).set(b.e).get(t.m).set(b.m);
  c.end();
  const low = c.take('i64');
  c.i64(0n).set(low);
  const done = c.block();
  const [divides, multiplies, adds] = [c.block(), c.block(), c.block()];
  c.get(CODE).i32(7).op('i32.and');
  c.brTable([adds, multiplies, adds, adds, adds, adds], divides);
  c.end();
  c.get(b.s);
  code(x, 4)();
  c.i32(13).op('i32.shl').op('i32.xor').set(b.s);
  addition(x, a, b, low);
  c.br(done);
  c.end();
  multiplication(x, a, b, low);
  c.br(done);
  c.end();
  division(x, a, b, low);
  c.end();
  finish(x, a, low, () => {
    // To ST(i): bit 5.
    index(x)();
    c.i32(0);
    code(x, 32)();
    c.op('select');
  });
}

/** Rounds the result, unless it is zero, and writes it; bit 6 of the code pops. */
function finish(x: X87Code, v: Unpacked, low: number, pushIndex: () => void): void {
  const { c } = x;
  const [inexact, up] = [c.take('i32'), c.take('i32')];
  c.i32(0).set(inexact).i32(0).set(up);
  c.get(v.m).op('i64.eqz').iff();
  c.i32(0).set(v.e);
  c.else();
  x.round(v, low, inexact, up);
  c.end();
  x.setRegister(
    x.physical(pushIndex),
    () => c.get(v.m),
    () => c.get(v.s).get(v.e).op('i32.or'),
  );
  x.status(inexact, up);
  x.popIf(code(x, 64));
  x.pointers();
  x.done();
}

function load(x: X87Code): void {
  const { c } = x;
  const room = x.room();
  const v = x.unpacked();
  const when = (kind: number) => c.get(CODE).i32(0xffff).op('i32.and').i32(kind).op('i32.eq').iff();
  for (const [kind, fraction] of [
    [LOAD_F64, 52],
    [LOAD_F32, 23],
    [LOAD_INTEGER, 0],
  ] as const) {
    when(kind);
    if (fraction === 0) x.unpackInteger(v);
    else x.unpackFloat(v, fraction);
    x.push(
      room,
      () => c.get(v.m),
      () => c.get(v.s).get(v.e).op('i32.or'),
    );
    c.end();
  }
  const from = x.used(index(x));
  x.push(
    room,
    () => x.significand(from),
    () => x.signAndExponent(from),
  );
}

function loadExtended(x: X87Code): void {
  const { c } = x;
  const room = x.room();
  const host = x.host(10, false);
  x.push(
    room,
    () => c.get(host).mem('i64.load', 0),
    () => c.get(host).mem('i32.load16_u', 8),
  );
}

const STORE_POPS = 8;
const STORE_TRUNCATES = 16;

function store(x: X87Code): void {
  const { c } = x;
  const n = x.used(first(x));
  code(x, 3)();
  c.i32(2).op('i32.eq').iff();
  const host = x.host(10, true);
  c.get(host);
  x.significand(n);
  c.mem('i64.store', 0).get(host);
  x.signAndExponent(n);
  c.mem('i32.store16', 8);
  x.status(null, null);
  stored(x);
  c.end();
  x.control(FCW_PM | FCW_RC, FCW_PM);
  const v = x.unpackRegister(n);
  code(x, 3)();
  c.iff();
  narrow(x, v, 52);
  c.end();
  narrow(x, v, 23);
}

function stored(x: X87Code): void {
  x.popIf(code(x, STORE_POPS));
  x.pointers();
  x.done();
}

/** Stores ST(0) in double or single precision; what overflows or becomes a denormal is not for here. */
function narrow(x: X87Code, v: Unpacked, fraction: 23 | 52): void {
  const { c } = x;
  const most = fraction === 52 ? 0x7ff : 0xff;
  const drop = BigInt(63 - fraction);
  const [inexact, up] = [c.take('i32'), c.take('i32')];
  const low = c.take('i64');
  const bits = c.take('i64');
  c.i32(0).set(inexact).i32(0).set(up);
  c.get(v.m).op('i64.eqz').iff();
  c.i64(0n).set(bits);
  c.else();
  c.get(v.e)
    .i32(BIAS - (most >> 1))
    .op('i32.sub')
    .tee(v.e)
    .i32(1)
    .op('i32.sub')
    .i32(most - 1)
    .op('i32.ge_u');
  x.failIf();
  c.get(v.m)
    .i64(64n - drop)
    .op('i64.shl')
    .tee(low)
    .i64(0n)
    .op('i64.ne')
    .set(inexact);
  c.get(v.m).i64(drop).op('i64.shr_u').set(bits);
  roundsUp(x, low, bits);
  c.tee(up).op('i64.extend_i32_u').get(bits).op('i64.add');
  // The integer bit, and a carry beyond it, add to the exponent.
  c.get(v.e)
    .i32(1)
    .op('i32.sub')
    .op('i64.extend_i32_u')
    .i64(BigInt(fraction))
    .op('i64.shl')
    .op('i64.add')
    .tee(bits);
  c.i64(BigInt(most) << BigInt(fraction)).op('i64.ge_u');
  x.failIf();
  c.end();
  c.get(v.s)
    .op('i64.extend_i32_u')
    .i64(BigInt(fraction === 52 ? 48 : 16))
    .op('i64.shl');
  c.get(bits).op('i64.or').set(bits);
  const host = x.host(fraction === 52 ? 8 : 4, true);
  c.get(host)
    .get(bits)
    .mem(fraction === 52 ? 'i64.store' : 'i64.store32', 0);
  x.status(inexact, up);
  stored(x);
}

/** Leaves the truth of: the bits in `low` below `whole` are above half, or half and it is odd. */
function roundsUp(x: X87Code, low: number, whole: number): void {
  const { c } = x;
  c.get(low).i64(0n).op('i64.lt_s');
  c.get(low).i64(1n).op('i64.shl').get(whole).i64(1n).op('i64.and').op('i64.or');
  c.i64(0n).op('i64.ne').op('i32.and');
}

function storeInteger(x: X87Code): void {
  const { c } = x;
  const n = x.used(first(x));
  const truncates = c.take('i32');
  x.field('fcw');
  c.i32(FCW_PM).op('i32.and').op('i32.eqz');
  x.failIf();
  // To nearest, or towards zero, by the instruction or the control word.
  x.field('fcw');
  c.i32(FCW_RC).op('i32.and').i32(FCW_RC).op('i32.eq');
  code(x, STORE_TRUNCATES)();
  c.op('i32.or').tee(truncates).op('i32.eqz');
  x.field('fcw');
  c.i32(FCW_RC).op('i32.and').i32(0).op('i32.ne').op('i32.and');
  x.failIf();
  const v = x.unpackRegister(n);
  const [whole, low, shift] = [c.take('i64'), c.take('i64'), c.take('i32')];
  const [inexact, up, bits] = [c.take('i32'), c.take('i32'), c.take('i32')];
  // Bits behind the point; at 65 and more there is less than half of one.
  c.i32(BIAS + 63)
    .get(v.e)
    .op('i32.sub')
    .tee(shift)
    .i32(1)
    .op('i32.lt_s');
  x.failIf();
  c.get(v.m).get(shift).op('i64.extend_i32_u').op('i64.shr_u').i64(0n);
  c.get(shift).i32(64).op('i32.lt_u').op('select').set(whole);
  c.get(v.m).i32(64).get(shift).op('i32.sub').op('i64.extend_i32_u').op('i64.shl');
  c.get(v.m).op('i64.eqz').op('i32.eqz').op('i64.extend_i32_u');
  c.get(shift).i32(65).op('i32.lt_u').op('select').tee(low);
  c.i64(0n).op('i64.ne').set(inexact);
  roundsUp(x, low, whole);
  c.get(truncates).op('i32.eqz').op('i32.and').tee(up);
  c.op('i64.extend_i32_u').get(whole).op('i64.add').set(whole);
  c.i32(15);
  code(x, 3)();
  c.i32(4).op('i32.shl').op('i32.add').set(bits); // 15, 31; 64 bits are code 2: 63.
  c.i32(63).get(bits);
  code(x, 2)();
  c.op('select').set(bits);
  c.get(whole).get(bits).op('i64.extend_i32_u').op('i64.shr_u').i64(0n).op('i64.ne');
  x.failIf();
  c.i64(0n).get(whole).op('i64.sub').get(whole).get(v.s).op('select').set(whole);
  for (const [kind, bytes, op] of [
    [0, 2, 'i64.store16'],
    [1, 4, 'i64.store32'],
    [2, 8, 'i64.store'],
  ] as const) {
    code(x, 3)();
    c.i32(kind).op('i32.eq').iff();
    const host = x.host(bytes, true);
    c.get(host).get(whole).mem(op, 0);
    c.end();
  }
  x.status(inexact, up);
  stored(x);
}

function storeRegister(x: X87Code): void {
  const { c } = x;
  const from = x.used(first(x));
  const to = x.physical(index(x));
  code(x, COPY_UNCHECKED)();
  x.failIf();
  x.setRegister(
    to,
    () => x.significand(from),
    () => x.signAndExponent(from),
  );
  x.setTag(to);
  x.status(null, null);
  x.popIf(code(x, 1));
  x.pointers();
  x.done();
  c.op('unreachable');
}

function exchange(x: X87Code): void {
  const { c } = x;
  const a = x.used(first(x));
  const b = x.used(index(x));
  const [sig, se] = [c.take('i64'), c.take('i32')];
  x.significand(a);
  c.set(sig);
  x.signAndExponent(a);
  c.set(se);
  x.setRegister(
    a,
    () => x.significand(b),
    () => x.signAndExponent(b),
  );
  x.setRegister(
    b,
    () => c.get(sig),
    () => c.get(se),
  );
  x.status(null, null);
  x.pointers();
  x.done();
}

/** fchs (0), fabs (1). */
function sign(x: X87Code): void {
  const { c } = x;
  const n = x.used(first(x));
  const se = c.take('i32');
  x.signAndExponent(n);
  c.set(se);
  x.setRegister(
    n,
    () => x.significand(n),
    () => {
      c.get(se).i32(0x7fff).op('i32.and');
      c.get(se).i32(0x8000).op('i32.xor');
      code(x, 1)();
      c.op('select');
    },
  );
  x.status(null, null);
  x.pointers();
  x.done();
}

const CODE_ONE = 0;
const CODE_ZERO = 6;

function constant(x: X87Code): void {
  const { c } = x;
  const room = x.room();
  for (const [which, sig, se] of [
    [CODE_ONE, INTEGER_BIT, BIAS],
    [CODE_ZERO, 0n, 0],
  ] as const) {
    c.get(CODE).i32(which).op('i32.eq').iff();
    x.push(
      room,
      () => c.i64(sig),
      () => c.i32(se),
    );
    c.end();
  }
  c.i32(0).op('return');
}

function root(x: X87Code): void {
  const { c } = x;
  plainControl(x);
  const v = x.unpackRegister(x.used(first(x)));
  // A negative number is invalid; a negative zero is its own root.
  c.get(v.s).i32(0).op('i32.ne').get(v.m).i64(0n).op('i64.ne').op('i32.and');
  x.failIf();
  const low = c.take('i64');
  c.i64(0n).set(low);
  c.get(v.m).i64(0n).op('i64.ne').iff();
  squareRoot(x, v, low);
  c.end();
  finish(x, v, low, first(x));
}

/** Locals that say whether ST(0) is less than the other operand, and whether it equals it. */
function order(x: X87Code): { less: number; equal: number } {
  const { c } = x;
  const [less, equal] = [c.take('i32'), c.take('i32')];
  const a = x.unpackRegister(x.used(first(x)));
  const b = x.unpacked();
  code(x, 32)();
  c.iff();
  c.i32(0).set(b.s).i32(0).set(b.e).i64(0n).set(b.m);
  c.else();
  const other = otherOperand(x, 1);
  c.get(other.s).set(b.s).get(other.e).set(b.e).get(other.m).set(b.m);
  c.end();
  // Zeros are equal whatever their signs.
  for (const v of [a, b]) c.i32(0).get(v.s).get(v.m).op('i64.eqz').op('select').set(v.s);
  c.get(a.e).get(b.e).op('i32.eq').get(a.m).get(b.m).op('i64.eq').op('i32.and');
  c.get(a.s).get(b.s).op('i32.eq').op('i32.and').set(equal);
  c.get(a.e).get(b.e).op('i32.lt_u');
  c.get(a.e).get(b.e).op('i32.eq').get(a.m).get(b.m).op('i64.lt_u').op('i32.and').op('i32.or');
  // Of negative numbers the larger one is less; of different signs the negative one.
  c.get(a.s).i32(0).op('i32.ne').op('i32.xor').get(equal).op('i32.eqz').op('i32.and');
  c.get(a.s).i32(0).op('i32.ne').get(a.s).get(b.s).op('i32.eq').op('select').set(less);
  return { less, equal };
}

function compare(x: X87Code): void {
  const { c } = x;
  const { less, equal } = order(x);
  x.status(null, null, () => {
    c.get(less).i32(8).op('i32.shl').get(equal).i32(14).op('i32.shl').op('i32.or');
  });
  popsTwo(x);
}

function popsTwo(x: X87Code): void {
  const pops = (least: number) => () => {
    x.c.get(CODE).i32(3).op('i32.shr_u').i32(3).op('i32.and').i32(least).op('i32.ge_u');
  };
  x.popIf(pops(1));
  x.popIf(pops(2));
  x.pointers();
  x.done();
}

const FLAGS_VALID = 0x80000000;

function compareFlags(x: X87Code): void {
  const { c } = x;
  const { less, equal } = order(x);
  c.get(ST).get(less).get(equal).i32(6).op('i32.shl').op('i32.or');
  c.i32(FLAGS_VALID | 0)
    .op('i32.or')
    .op('i64.extend_i32_u')
    .mem('i64.store', RET_AT);
  x.status(null, null);
  popsTwo(x);
}
