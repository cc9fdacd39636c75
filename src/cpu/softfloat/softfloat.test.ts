// Softfloat against the host: doubles and floats, random and at the edges.

import { describe, expect, test } from 'vitest';
import { add, type Binary, div, mul, sqrt, sub } from './arithmetic.ts';
import { compare } from './compare.ts';
import { convert, fromInteger, toInteger } from './convert.ts';
import { DE, F32, F64, type Format, IE, OE, PE, pack, UE, unpack, ZE } from './number.ts';
import { DOWN, type Env, NEAREST, round, TRUNCATE, UP } from './round.ts';

const env = (rounding = NEAREST, masks = 0x3f): Env => ({
  rounding,
  masks,
  denormalsAreZero: false,
  flushToZero: false,
  nans: 'first',
  wrap: 0,
  flags: 0,
  roundedUp: false,
});

const scratch = new DataView(new ArrayBuffer(8));
function bits64(n: number): bigint {
  scratch.setFloat64(0, n);
  return scratch.getBigUint64(0);
}
function double(bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return scratch.getFloat64(0);
}
function bits32(n: number): bigint {
  scratch.setFloat32(0, n);
  return BigInt(scratch.getUint32(0));
}
function single(bits: bigint): number {
  scratch.setUint32(0, Number(bits));
  return scratch.getFloat32(0);
}

/** mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

function randomBits(next: () => number, fraction: number, exponent: number): bigint {
  const bias = (1 << (exponent - 1)) - 1;
  const choices = [0, 1, 2 * bias + 1, 2 * bias, bias, bias + (next() % 60) - 30];
  const e = choices[next() % choices.length] as number;
  const one = 1n << BigInt(fraction);
  const any = ((BigInt(next()) << 32n) | BigInt(next())) & (one - 1n);
  const f = [0n, 1n, one - 1n, any, any][next() % 5] as bigint;
  return (BigInt(next() & 1) << BigInt(fraction + exponent)) | (BigInt(e) << BigInt(fraction)) | f;
}

const HOST: readonly (readonly [string, Binary, (a: number, b: number) => number])[] = [
  ['add', add, (a, b) => a + b],
  ['sub', sub, (a, b) => a - b],
  ['mul', mul, (a, b) => a * b],
  ['div', div, (a, b) => a / b],
  ['sqrt', sqrt, (a) => Math.sqrt(a)],
];

function calculate(fn: Binary, format: Format, a: bigint, b: bigint, e = env()): bigint {
  const to = { format, precision: format.precision };
  return pack(format, fn(e, to, unpack(format, a), unpack(format, b)));
}

describe('softfloat against the host, rounding to nearest', () => {
  test.each(HOST)('%s of doubles is what the host computes', (_, fn, host) => {
    const next = generator(1);
    for (let n = 0; n < 4000; n++) {
      const [a, b] = [randomBits(next, 52, 11), randomBits(next, 52, 11)];
      const expected = host(double(a), double(b));
      const ours = calculate(fn, F64, a, b);
      if (Number.isNaN(expected)) expect(double(ours)).toBeNaN();
      else expect(ours, `${double(a)} and ${double(b)}`).toBe(bits64(expected));
    }
  });
  test.each(HOST)('%s of singles is the host result in doubles, rounded', (_, fn, host) => {
    // Rounding twice is harmless here: 53 bits are at least 2 * 24 + 2.
    const next = generator(2);
    for (let n = 0; n < 4000; n++) {
      const [a, b] = [randomBits(next, 23, 8), randomBits(next, 23, 8)];
      const expected = Math.fround(host(single(a), single(b)));
      const ours = calculate(fn, F32, a, b);
      if (Number.isNaN(expected)) expect(single(ours)).toBeNaN();
      else expect(ours, `${single(a)} and ${single(b)}`).toBe(bits32(expected));
    }
  });
  test('a double becomes the single that Math.fround gives', () => {
    const next = generator(3);
    for (let n = 0; n < 4000; n++) {
      const a = randomBits(next, 52, 11);
      const expected = Math.fround(double(a));
      const ours = pack(F32, convert(env(), F32, unpack(F64, a)));
      if (!Number.isNaN(expected)) expect(ours, `${double(a)}`).toBe(bits32(expected));
    }
  });
  test('comparison orders as the host does', () => {
    const next = generator(4);
    for (let n = 0; n < 4000; n++) {
      const [a, b] = [randomBits(next, 52, 11), randomBits(next, 52, 11)];
      const [x, y] = [double(a), double(b)];
      const expected = x < y ? 'less' : x > y ? 'greater' : x === y ? 'equal' : 'unordered';
      expect(compare(env(), unpack(F64, a), unpack(F64, b), false)).toBe(expected);
    }
  });
});

describe('flags and rounding modes', () => {
  const flagsOf = (fn: Binary, a: number, b: number): number => {
    const e = env();
    calculate(fn, F64, bits64(a), bits64(b), e);
    return e.flags;
  };
  test('each exception raises its flag', () => {
    expect(flagsOf(div, 1, 0)).toBe(ZE);
    expect(flagsOf(div, 0, 0)).toBe(IE);
    expect(flagsOf(div, 1, 3)).toBe(PE);
    expect(flagsOf(add, 1, 1)).toBe(0);
    expect(flagsOf(mul, Number.MAX_VALUE, 2)).toBe(OE | PE);
    expect(flagsOf(add, 1, Number.MIN_VALUE)).toBe(DE | PE);
    expect(flagsOf(mul, 2 ** -600, 2 ** -600)).toBe(UE | PE);
    expect(flagsOf(sqrt, -1, -1)).toBe(IE);
    expect(flagsOf(sub, Infinity, Infinity)).toBe(IE);
  });
  test('one third rounds down, up and towards zero as its sign says', () => {
    const third = (rounding: number, sign: number) =>
      double(calculate(div, F64, bits64(sign), bits64(3), env(rounding)));
    expect(third(UP, 1)).toBeGreaterThan(third(DOWN, 1));
    expect(third(TRUNCATE, 1)).toBe(third(DOWN, 1));
    expect(third(TRUNCATE, -1)).toBe(third(UP, -1));
  });
  test('an overflow gives the largest number where rounding goes away from infinity', () => {
    const twice = (rounding: number) =>
      double(calculate(mul, F64, bits64(Number.MAX_VALUE), bits64(2), env(rounding)));
    expect([twice(NEAREST), twice(UP)]).toEqual([Infinity, Infinity]);
    expect([twice(DOWN), twice(TRUNCATE)]).toEqual([Number.MAX_VALUE, Number.MAX_VALUE]);
  });
  test('integers that do not fit are invalid, others round', () => {
    const e = env();
    expect(toInteger(e, unpack(F64, bits64(2.5)), 32)).toBe(2n);
    expect(e.flags).toBe(PE);
    expect(toInteger(e, unpack(F64, bits64(2 ** 31)), 32)).toBe(-(1n << 31n));
    expect(e.flags).toBe(PE | IE);
    const exact = fromInteger(-5n);
    if (exact.kind === 'finite')
      expect(pack(F64, round(e, F64, { ...exact, sticky: false }))).toBe(bits64(-5));
  });
});
