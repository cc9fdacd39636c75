// The reference's flags against known answers, and against the lazy representation that fast engines keep.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statusFlags } from '../flags.ts';
import { AF, CF, OF, PF, SF, ZF } from '../isa/build.ts';
import {
  FL_ADC,
  FL_ADD,
  FL_FULL,
  FL_LOGIC,
  FL_MIX,
  FL_SBB,
  FL_SUB,
  State,
  viewsOf,
} from '../state.ts';
import { conditionHolds, flagsOf, readStatusFlags, writeStatusFlags } from './flags.ts';

const state = new State(viewsOf(new WebAssembly.Memory({ initial: 1 })), 0);

test('0x7f + 1 overflows, is negative and carries out of bit 3', () => {
  expect(flagsOf('add', 8, 0x80n, 0x7fn, 0n)).toBe(OF | SF | AF);
});

test('0xff + 1 is zero with a carry', () => {
  expect(flagsOf('add', 8, 0n, 0xffn, 0n)).toBe(CF | ZF | PF | AF);
});

test('0xffffffff + 0xffffffff with a carry in gives itself and a carry', () => {
  expect(flagsOf('adc', 32, 0xffffffffn, 0xffffffffn, 1n)).toBe(CF | SF | PF | AF);
});

test('0 - 0 with a borrow in is minus one with a borrow', () => {
  expect(flagsOf('sbb', 64, 0xffffffffffffffffn, 0n, 1n)).toBe(CF | SF | PF | AF);
});

test('0x8000 - 1 overflows', () => {
  expect(flagsOf('sub', 16, 0x7fffn, 0x8000n, 0n)).toBe(OF | PF | AF);
});

test('parity counts the low byte only', () => {
  expect(flagsOf('logic', 32, 0x100n, 0n, 0n)).toBe(PF);
  expect(flagsOf('logic', 32, 0x101n, 0n, 0n)).toBe(0);
});

test('conditions are those of SDM 1 appendix B', () => {
  const holding = (flags: number) =>
    Array.from({ length: 16 }, (_, cc) => (conditionHolds(flags, cc) ? cc : -1)).filter(
      (c) => c >= 0,
    );
  expect(holding(0)).toEqual([1, 3, 5, 7, 9, 11, 13, 15]);
  expect(holding(CF | ZF)).toEqual([1, 2, 4, 6, 9, 11, 13, 14]);
  expect(holding(SF | OF | PF)).toEqual([0, 3, 5, 7, 8, 10, 13, 15]);
  expect(holding(SF)).toEqual([1, 3, 5, 7, 8, 11, 12, 14]);
});

const KINDS = [
  ['add', FL_ADD, false],
  ['adc', FL_ADC, true],
  ['sub', FL_SUB, false],
  ['sbb', FL_SBB, true],
  ['logic', FL_LOGIC, false],
  ['mix', FL_MIX, false],
] as const;
const value = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, 0x7fn, 0x80n, 0xffn, 0x8000n, 0x80000000n, 1n << 63n, (1n << 64n) - 1n),
);

test.each(KINDS)(
  'lazy flags of %s are those of the definition, in every width',
  (fn, kind, carried) => {
    fc.assert(
      fc.property(value, value, fc.integer({ min: 0, max: 3 }), fc.nat(0xfff), (a, b, log, aux) => {
        const bits = 8 << log;
        const [res, x] = [BigInt.asUintN(bits, a), BigInt.asUintN(bits, b)];
        state.set('flOp', kind * 4 + log);
        state.set64('flRes', res);
        state.set64('flX', x);
        state.set('flAux', aux);
        const expected = flagsOf(fn, bits, res, x, carried ? 1n : BigInt(aux));
        expect(readStatusFlags(state)).toBe(expected);
        expect(statusFlags(state)).toBe(expected);
      }),
    );
  },
);

test('written flags are read back', () => {
  writeStatusFlags(state, CF | OF | 2);
  expect(state.get('flOp')).toBe(FL_FULL * 4);
  expect(readStatusFlags(state)).toBe(CF | OF);
});
