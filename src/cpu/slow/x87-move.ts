// x87 loads and stores: floating point, integer, decimal, constants, and moves within the stack.

import { convert, fromInteger, toInteger } from '../softfloat/convert.ts';
import {
  DE,
  F32,
  F64,
  type Format,
  IE,
  INDEFINITE,
  type Num,
  PE,
  pack,
  packExtended,
  unpack,
} from '../softfloat/number.ts';
import { NEAREST, TRUNCATE, UP } from '../softfloat/round.ts';
import { defineSlow } from './define.ts';
import {
  abandon,
  begin,
  C1,
  canPush,
  end,
  INDEFINITE80,
  isStopped,
  isStoppedBy,
  type Op,
  pop,
  push,
  put,
  stValue,
  underflowed,
} from './x87-core.ts';
import { type Extended, freeSt, isEmpty, readSt, setTop, topOf, writeSt } from './x87-registers.ts';

/** Pushes a value that is already in the register format, if there is room and nothing stops it. */
function load(op: Op, v: Extended): 0 {
  const room = canPush(op);
  if (isStopped(op)) return end(op);
  push(op, room ? v : INDEFINITE80);
  return end(op);
}

export const LOAD_F32 = 0;
export const LOAD_F64 = 1;
export const LOAD_INTEGER = 2;
export const LOAD_REGISTER = 3;

/** fld m32, m64, ST(i) and fild: argument 1 is the bits, the register, or the sign-extended integer. */
export const x87Load = defineSlow({
  name: 'x87-load',
  ref: 'SDM 2A FLD, FILD',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const bits = cx.state.arg64(1);
    if (op.code === LOAD_INTEGER)
      return load(op, packExtended(fromInteger(BigInt.asIntN(64, bits))));
    if (op.code === LOAD_REGISTER) return loadRegister(op, Number(bits));
    const n = unpack(op.code === LOAD_F32 ? F32 : F64, bits);
    // A full stack comes before what is wrong with the operand. SDM 1 4.9.2.
    if (!isEmpty(cx.state, 7)) return load(op, INDEFINITE80);
    // An unmasked denormal exception is reported, but the value is loaded all the same: only IE stops a load.
    const env = { ...op.env, masks: op.env.masks | DE };
    const v = convert(env, op.target.format, n);
    op.env.flags = env.flags;
    if (isStoppedBy(op, IE)) return end(op);
    push(op, packExtended(v));
    return end(op);
  },
});

function loadRegister(op: Op, i: number): 0 {
  if (isEmpty(op.state, i)) {
    underflowed(op);
    if (!isStopped(op)) push(op, INDEFINITE80);
    return end(op);
  }
  return load(op, readSt(op.state, i));
}

/** fld m80: argument 1 is the linear address. No conversion, no exception but the stack's. */
export const x87LoadExtended = defineSlow({
  name: 'x87-load-extended',
  ref: 'SDM 2A FLD',
  pure: true,
  run(cx) {
    const va = cx.state.argVa(1);
    if (!cx.mmu.aligned(va, 10) || !cx.mmu.read(va, 10, 'current')) return 1;
    const { buf } = cx.mmu;
    const v = { sig: buf.getBigUint64(0, true), se: buf.getUint16(8, true) };
    return load(begin(cx), v);
  },
});

const STORE_POPS = 8;
export const storeCode = (pops: boolean, bits: 32 | 64 | 80): number =>
  (pops ? STORE_POPS : 0) | [32, 64, 80].indexOf(bits);

/** fst, fstp to memory: argument 1 is the linear address. */
export const x87Store = defineSlow({
  name: 'x87-store',
  ref: 'SDM 2A FST',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const { buf } = cx.mmu;
    const kind = op.code & 3;
    if (kind === 2) {
      const empty = isEmpty(cx.state, 0);
      if (empty) underflowed(op);
      const v = empty ? INDEFINITE80 : readSt(cx.state, 0);
      buf.setBigUint64(0, v.sig, true);
      buf.setUint16(8, v.se, true);
      return store(op, 10);
    }
    const format = kind === 0 ? F32 : F64;
    const bits = storedBits(op, format, stValue(op, 0));
    if (kind === 0) buf.setUint32(0, Number(bits), true);
    else buf.setBigUint64(0, bits, true);
    return store(op, kind === 0 ? 4 : 8);
  },
});

/** Storing has no denormal exception. SDM 2A FST. */
function storedBits(op: Op, format: Format, v: Num | null): bigint {
  if (!v) return pack(format, INDEFINITE);
  const env = { ...op.env, masks: op.env.masks | DE };
  const n = convert(env, format, v);
  op.env.flags |= env.flags & ~DE;
  op.env.roundedUp = env.roundedUp;
  return isStopped(op, true) ? 0n : pack(format, n);
}

/** Writes the buffer to memory, unless an exception stops it, and pops. A page fault comes before any trace. */
function store(op: Op, bytes: number): 0 | 1 {
  if (isStopped(op, true)) {
    // Nothing was rounded after all. SDM 1 8.5.4.
    op.env.flags &= ~PE;
    return end(op);
  }
  const va = op.state.argVa(1);
  if (!op.cx.mmu.aligned(va, bytes) || !op.cx.mmu.write(va, bytes, 'current')) return abandon(op);
  if (op.code & STORE_POPS) pop(op);
  return end(op);
}

const STORE_TRUNCATES = 16;
export const storeIntegerCode = (pops: boolean, truncates: boolean, bits: 16 | 32 | 64): number =>
  (pops ? STORE_POPS : 0) | (truncates ? STORE_TRUNCATES : 0) | [16, 32, 64].indexOf(bits);

/** fist, fistp, fisttp. */
export const x87StoreInteger = defineSlow({
  name: 'x87-store-integer',
  ref: 'SDM 2A FIST, FISTTP',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const bits = [16, 32, 64][op.code & 3] ?? 16;
    const v = stValue(op, 0);
    const rounding = op.code & STORE_TRUNCATES ? TRUNCATE : op.env.rounding;
    const n = v ? toInteger(op.env, v, bits, rounding) : -(1n << BigInt(bits - 1));
    cx.mmu.buf.setBigInt64(0, n, true);
    return store(op, bits / 8);
  },
});

const DECIMAL_DIGITS = 18;

/** fbld: 18 packed decimal digits and a sign. Digits above 9 count as they are. */
export const x87LoadDecimal = defineSlow({
  name: 'x87-load-decimal',
  ref: 'SDM 2A FBLD',
  pure: true,
  run(cx) {
    const va = cx.state.argVa(1);
    if (!cx.mmu.aligned(va, 10) || !cx.mmu.read(va, 10, 'current')) return 1;
    const op = begin(cx);
    let n = 0n;
    for (let i = DECIMAL_DIGITS / 2 - 1; i >= 0; i--) {
      const byte = cx.mmu.buf.getUint8(i);
      n = n * 100n + BigInt((byte >> 4) * 10 + (byte & 15));
    }
    const v = packExtended(fromInteger(n));
    const negative = (cx.mmu.buf.getUint8(9) & 0x80) !== 0;
    return load(op, negative ? { ...v, se: v.se | 0x8000 } : v);
  },
});

/** fbstp: rounds to an integer; what has more than 18 digits gives the decimal indefinite. */
export const x87StoreDecimal = defineSlow({
  name: 'x87-store-decimal',
  ref: 'SDM 2A FBSTP, SDM 1 table 4-4',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const { buf } = cx.mmu;
    const v = stValue(op, 0);
    const n = v ? toInteger(op.env, v, 64) : -(1n << 63n);
    const size = n < 0n ? -n : n;
    if (size >= 10n ** BigInt(DECIMAL_DIGITS)) {
      op.env.flags = (op.env.flags | IE) & ~PE;
      buf.setBigUint64(0, 0xc000_0000_0000_0000n, true);
      buf.setUint16(8, 0xffff, true);
    } else {
      const sign = v && 'sign' in v ? v.sign : 0;
      putDigits(buf, size, sign === 1);
    }
    return store({ ...op, code: STORE_POPS }, 10);
  },
});

function putDigits(buf: DataView, size: bigint, negative: boolean): void {
  let rest = size;
  for (let i = 0; i < DECIMAL_DIGITS / 2; i++) {
    const two = Number(rest % 100n);
    buf.setUint8(i, Math.floor(two / 10) * 16 + (two % 10));
    rest /= 100n;
  }
  buf.setUint8(9, negative ? 0x80 : 0);
}

/** By digit of d9 e8+n: fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz. `nearest` and the values below and above. SDM 1 8.3.8. */
interface Constant {
  readonly se: number;
  readonly nearest: bigint;
  readonly down: bigint;
  readonly up: bigint;
}
const exact = (se: number, sig: bigint): Constant => ({ se, nearest: sig, down: sig, up: sig });
const CONSTANTS: readonly Constant[] = [
  exact(0x3fff, 1n << 63n),
  { se: 0x4000, nearest: 0xd49a784bcd1b8afen, down: 0xd49a784bcd1b8afen, up: 0xd49a784bcd1b8affn },
  { se: 0x3fff, nearest: 0xb8aa3b295c17f0bcn, down: 0xb8aa3b295c17f0bbn, up: 0xb8aa3b295c17f0bcn },
  { se: 0x4000, nearest: 0xc90fdaa22168c235n, down: 0xc90fdaa22168c234n, up: 0xc90fdaa22168c235n },
  { se: 0x3ffd, nearest: 0x9a209a84fbcff799n, down: 0x9a209a84fbcff798n, up: 0x9a209a84fbcff799n },
  { se: 0x3ffe, nearest: 0xb17217f7d1cf79acn, down: 0xb17217f7d1cf79abn, up: 0xb17217f7d1cf79acn },
  exact(0, 0n),
];

export const x87Constant = defineSlow({
  name: 'x87-constant',
  ref: 'SDM 1 8.3.4',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const c = CONSTANTS[op.code] ?? exact(0, 0n);
    const { rounding } = op.env;
    const sig = rounding === NEAREST ? c.nearest : rounding === UP ? c.up : c.down;
    return load(op, { se: c.se, sig });
  },
});

export const COPY_POPS = 1;
export const COPY_UNCHECKED = 2;

/** fst, fstp to ST(i): a copy, without a look at the value. `COPY_UNCHECKED`: an empty ST(0) is just popped. */
export const x87StoreRegister = defineSlow({
  name: 'x87-store-register',
  ref: 'SDM 2A FST',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const empty = isEmpty(cx.state, 0);
    const unchecked = (op.code & COPY_UNCHECKED) !== 0;
    if (empty && !unchecked) underflowed(op);
    if (isStopped(op)) return end(op);
    if (!empty || !unchecked)
      writeSt(cx.state, cx.state.arg32(1), empty ? INDEFINITE80 : readSt(cx.state, 0));
    if (op.code & COPY_POPS) pop(op);
    return end(op);
  },
});

export const x87Exchange = defineSlow({
  name: 'x87-exchange',
  ref: 'SDM 2A FXCH',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const { state } = cx;
    const i = state.arg32(1);
    const value = (n: number) => (isEmpty(state, n) ? INDEFINITE80 : readSt(state, n));
    if (isEmpty(state, 0) || isEmpty(state, i)) underflowed(op);
    if (isStopped(op)) return end(op);
    const [a, b] = [value(0), value(i)];
    writeSt(state, 0, b);
    writeSt(state, i, a);
    return end(op);
  },
});

/** fcmovcc: the code is 1 when the condition holds. Empty registers fault whether it does or not. */
export const x87Move = defineSlow({
  name: 'x87-move-if',
  ref: 'SDM 2A FCMOVcc',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const { state } = cx;
    const i = state.arg32(1);
    if (isEmpty(state, 0) || isEmpty(state, i)) {
      underflowed(op);
      if (!isStopped(op)) put(op, 0, null);
      return end(op);
    }
    op.codesKept |= C1;
    if (op.code === 1) writeSt(state, 0, readSt(state, i));
    return end(op);
  },
});

export const STACK_FREE = 0;
export const STACK_FREE_POP = 1;
export const STACK_UP = 2;
export const STACK_DOWN = 3;
export const STACK_NOTHING = 4;

/** ffree, ffreep, fincstp, fdecstp, fnop. */
export const x87Stack = defineSlow({
  name: 'x87-stack',
  ref: 'SDM 1 8.3.11',
  pure: true,
  run(cx) {
    const op = begin(cx);
    const { state } = cx;
    if (op.code === STACK_NOTHING) return 0;
    if (op.code <= STACK_FREE_POP) freeSt(state, state.arg32(1));
    if (op.code === STACK_FREE_POP) freeSt(state, 0);
    if (op.code === STACK_FREE_POP) pop(op);
    if (op.code === STACK_UP) setTop(state, topOf(state) + 1);
    if (op.code === STACK_DOWN) setTop(state, topOf(state) - 1);
    return end(op);
  },
});
