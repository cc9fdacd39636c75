// EFLAGS out of the lazy fields, against the reference's definitions.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EFLAGS_CF, EFLAGS_IF, EFLAGS_STATUS, EFLAGS_ZF } from './control-bits.ts';
import { readFlags, statusFlags, writeFlags } from './flags.ts';
import { readStatusFlags } from './reference/flags.ts';
import { smallMachine } from './testing/small-machine.ts';

const { state } = smallMachine(0x10000);
const interesting = fc.constantFrom(
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  1n << 31n,
  (1n << 31n) - 1n,
  (1n << 32n) - 1n,
  1n << 63n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
);
const word = fc.oneof(interesting, fc.bigInt(0n, (1n << 64n) - 1n));

describe('statusFlags', () => {
  it('agrees with the reference for every kind, width, result and operand', () => {
    const kinds = fc.integer({ min: 0, max: 6 });
    const sizes = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(kinds, sizes, word, word, fc.nat(0xfff), (kind, size, res, x, aux) => {
        const mask = (1n << BigInt(8 << size)) - 1n;
        state.set64('flRes', res & mask);
        state.set64('flX', x & mask);
        state.set('flOp', kind * 4 + size);
        state.set('flAux', aux);
        expect(statusFlags(state)).toBe(readStatusFlags(state));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('writeFlags', () => {
  it('replaces what the mask names and keeps the rest', () => {
    writeFlags(state, 0, -1);
    writeFlags(state, EFLAGS_CF | EFLAGS_IF, EFLAGS_CF | EFLAGS_IF);
    writeFlags(state, EFLAGS_ZF, EFLAGS_ZF);
    expect(readFlags(state)).toBe(2 | EFLAGS_CF | EFLAGS_IF | EFLAGS_ZF);
  });

  it('keeps status flags out of the eflags field', () => {
    writeFlags(state, -1, EFLAGS_STATUS);
    expect(state.get('eflags') & EFLAGS_STATUS).toBe(0);
  });
});
