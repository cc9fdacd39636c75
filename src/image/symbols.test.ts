// Symbols of kernels: out of the image by structure, out of files that users give, and by address.

import { describe, expect, it } from 'vitest';
import { type KernelSymbol, kallsymsOf } from './kallsyms.ts';
import { readSymbols, symbolTable } from './symbols.ts';
import { type KallsymsLayout, kallsymsImage } from './testing/kallsyms-image.ts';

const COUNT = 700;

/** Per-CPU data first in 64-bit kernels, as absolute addresses; then code; a very long name among them. */
function symbolsOf(bits: 32 | 64, perCpu: boolean): KernelSymbol[] {
  const base = bits === 64 ? -0x7f000000 : 0xc1000000;
  return Array.from({ length: COUNT }, (_, n) => ({
    address: perCpu && n < 5 ? n * 16 : base + n * 0x40,
    type: perCpu && n < 5 ? 'A' : n % 7 === 0 ? 'T' : 't',
    name: n === 300 ? `sys_${'long'.repeat(60)}` : `sys_func__${n}`,
  }));
}

const LAYOUTS: readonly (readonly [string, KallsymsLayout])[] = [
  ['2.6 of 32 bits', { bits: 32, addresses: 'words', markerBytes: 4 }],
  ['2.6 of 64 bits', { bits: 64, addresses: 'words', markerBytes: 8 }],
  ['4.9 of 64 bits', { bits: 64, addresses: 'offsets', markerBytes: 8 }],
  ['6.1 of 32 bits', { bits: 32, addresses: 'offsets', markerBytes: 4 }],
  ['6.1 of 64 bits', { bits: 64, addresses: 'offsets', markerBytes: 4 }],
  ['6.2 of 64 bits', { bits: 64, addresses: 'offsets', markerBytes: 4, sequences: true }],
  ['6.6 of 64 bits', { bits: 64, addresses: 'behind', markerBytes: 4 }],
  ['6.6 of 32 bits', { bits: 32, addresses: 'behind', markerBytes: 4 }],
];

describe('the kallsyms of an image', () => {
  it.each(LAYOUTS)('as %s lays it out is found and unpacked', (_, layout) => {
    const symbols = symbolsOf(layout.bits, layout.bits === 64);
    expect(kallsymsOf(kallsymsImage(symbols, layout), layout.bits)).toEqual(symbols);
  });

  it.each(LAYOUTS)('as %s lays it out is not believed when it is damaged', (_, layout) => {
    const symbols = symbolsOf(layout.bits, false);
    const whole = kallsymsImage(symbols, layout);
    for (const cut of [0.2, 0.5, 0.8])
      expect(kallsymsOf(whole.subarray(0, whole.length * cut), layout.bits)).toBeNull();
    const names = whole.slice();
    names.fill(1, whole.length / 3, whole.length / 3 + 400);
    const found = kallsymsOf(names, layout.bits);
    expect(found === null || found.length === COUNT).toBe(true);
  });

  it('is null where there is none', () => {
    expect(kallsymsOf(new Uint8Array(100), 64)).toBeNull();
    expect(kallsymsOf(new Uint8Array(100_000), 32)).toBeNull();
  });
});

describe('a table of symbols', () => {
  const table = symbolTable([
    { address: 0x100, type: 'T', name: 'one' },
    { address: 0x180, type: 'd', name: 'data' },
    { address: 0x200, type: 'd', name: 'label' },
    { address: 0x200, type: 't', name: 'two' },
    { address: 0x200, type: 't', name: 'alias' },
    { address: 0x300, type: 'B', name: '_end' },
  ]);

  it('names the function that an address lies in, the first of several', () => {
    expect(table.find(0x100)).toEqual({ name: 'one', offset: 0 });
    expect(table.find(0x17f)).toEqual({ name: 'one', offset: 0x7f });
    expect(table.find(0x2ff)).toEqual({ name: 'two', offset: 0xff });
  });

  it('names nothing for data and for what lies outside', () => {
    expect(table.find(0xff)).toBeNull();
    expect(table.find(0x180)).toBeNull();
    expect(table.find(0x300)).toBeNull();
    expect(table.find(0x5000)).toBeNull();
  });
});

describe('a file of symbols', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);

  it('may be a System.map, of 64 bits with signed addresses', () => {
    const map = 'ffffffff81000000 T _stext\nffffffff81000040 t two\nffffffff81000080 D end\n';
    expect(readSymbols(bytes(map), 'm').find(-0x7f000000 + 0x44)).toEqual({
      name: 'two',
      offset: 4,
    });
    const narrow = 'c1000000 T _stext\nc1000040 D data\n';
    expect(readSymbols(bytes(narrow), 'm').find(0xc1000010)?.name).toBe('_stext');
  });

  it.each([
    ['empty', ''],
    ['of something else', 'hello\n'],
    ['spoilt in the middle', 'c1000000 T a\nc1000040 what\n'],
  ])('is refused when it is %s', (_, text) => {
    expect(() => readSymbols(bytes(text), 'a.map')).toThrow('a.map has no symbols');
  });
});
