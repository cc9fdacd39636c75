// ORC tables as a kernel's image has them: found by address, refused when they are another version's or damaged.

import { expect, it } from 'vitest';
import type { ElfFile, ElfSection } from './elf.ts';
import { ORC_REG, ORC_TYPE, orcTable } from './orc.ts';

const BASE = 0xffffffff82000000n;
const section = (name: string, offset: number, size: number, addr = 0n): ElfSection => ({
  ...{ name, type: 1, flags: 2, addr, offset, size, link: 0, entryBytes: 0 },
});

/** Addresses relative to BASE, and the words of each entry. */
function image(
  rows: readonly (readonly [at: number, sp: number, bp: number, flags: number])[],
  more: readonly ElfSection[] = [],
): ElfFile {
  const bytes = new Uint8Array(rows.length * 10);
  const view = new DataView(bytes.buffer);
  for (const [n, [at, sp, bp, flags]] of rows.entries()) {
    view.setInt32(n * 4, at - n * 4, true);
    const entry = rows.length * 4 + n * 6;
    view.setInt16(entry, sp, true);
    view.setInt16(entry + 2, bp, true);
    view.setUint16(entry + 4, flags, true);
  }
  const sections = [
    section('.orc_unwind_ip', 0, rows.length * 4, BASE),
    section('.orc_unwind', rows.length * 4, rows.length * 6),
    ...more,
  ];
  return { bytes, bits: 64, type: 2, machine: 62, entry: 0n, segments: [], sections };
}

const ROWS = [
  [-0x1000, 8, 0, 0x05],
  [-0x0ff0, 16, -16, 0x15],
  [-0x0f00, 0, 0, 0x505],
] as const;
const at = (distance: number) => Number(BigInt.asIntN(64, BASE)) + distance;

it('the entry of an address is that of the last place at or before it', () => {
  const table = orcTable(image(ROWS));
  expect(table?.size).toBe(3);
  expect(table?.find(at(-0x1001))).toBeNull();
  const first = { spReg: ORC_REG.sp, spOffset: 8, bpReg: 0, type: ORC_TYPE.call, end: false };
  expect(table?.find(at(-0x1000))).toMatchObject(first);
  expect(table?.find(at(-0x0ff1))).toMatchObject(first);
  expect(table?.find(at(-0x0ff0))).toMatchObject({ bpReg: ORC_REG.prevSp, bpOffset: -16 });
  expect(table?.find(at(0))).toMatchObject({ type: ORC_TYPE.regs, end: true });
});

it.each([
  ['of 6.4 and later', image(ROWS, [section('.orc_header', 0, 20)])],
  ['that are not sorted', image([ROWS[1], ROWS[0], ROWS[2]])],
  ['that are cut off', { ...image(ROWS), bytes: image(ROWS).bytes.subarray(0, 20) }],
  ['of 32 bits', { ...image(ROWS), bits: 32 } as const],
])('tables %s are none', (_, elf) => {
  expect(orcTable(elf)).toBeNull();
});

it('an entry that the file lacks is no table', () => {
  const elf = image(ROWS);
  const sections = elf.sections.map((one) =>
    one.name === '.orc_unwind' ? { ...one, size: one.size - 6 } : one,
  );
  expect(orcTable({ ...elf, sections })).toBeNull();
  expect(orcTable({ ...elf, sections: [] })).toBeNull();
});
