// Tests of disks: the three modes, their bounds, and what a snapshot of an overlay carries.

import { expect, test } from 'vitest';
import { memoryStore, openDisk, SECTOR_BYTES } from './disk.ts';

function image(sectors: number): Uint8Array {
  return Uint8Array.from({ length: sectors * SECTOR_BYTES }, (_, i) => (i >> 9) & 0xff);
}

const sector = (value: number) => new Uint8Array(SECTOR_BYTES).fill(value);

test('a read-write disk writes through, and a read-only one refuses', () => {
  const bytes = image(4);
  const disk = openDisk(memoryStore(bytes), 'read-write', 'd');
  expect(disk.write(2, sector(0xaa))).toBe(true);
  expect(bytes[2 * SECTOR_BYTES]).toBe(0xaa);
  const fixed = openDisk(memoryStore(bytes), 'read-only', 'd');
  expect([fixed.readOnly, fixed.write(2, sector(1))]).toEqual([true, false]);
  expect(bytes[2 * SECTOR_BYTES]).toBe(0xaa);
});

test('what does not lie on the disk, or is no whole sector, is refused', () => {
  const disk = openDisk(memoryStore(image(4)), 'copy-on-write', 'd');
  const two = new Uint8Array(2 * SECTOR_BYTES);
  expect(disk.read(3, two)).toBe(false);
  expect(disk.write(-1, two)).toBe(false);
  expect(disk.read(0.5, two)).toBe(false);
  expect(disk.read(0, new Uint8Array(100))).toBe(false);
  expect(disk.read(2, two)).toBe(true);
});

test('an overlay leaves its image alone, also across its blocks, and at an end that is no whole block', () => {
  const bytes = image(21);
  const before = bytes.slice();
  const disk = openDisk(memoryStore(bytes), 'copy-on-write', 'd');
  expect(disk.write(7, new Uint8Array(14 * SECTOR_BYTES).fill(0xee))).toBe(true);
  expect(bytes).toEqual(before);
  const all = new Uint8Array(21 * SECTOR_BYTES);
  disk.read(0, all);
  const firsts = Array.from({ length: 21 }, (_, i) => all[i * SECTOR_BYTES]);
  expect(firsts).toEqual([0, 1, 2, 3, 4, 5, 6, ...new Array(14).fill(0xee)]);
});

test('a snapshot carries the overlay, and belongs to a disk of one size', () => {
  const disk = openDisk(memoryStore(image(16)), 'copy-on-write', 'd');
  disk.write(9, sector(0x55));
  const saved = disk.save();
  disk.write(9, sector(0x66));
  disk.write(0, sector(0x77));
  disk.restore(saved);
  const out = sector(0);
  disk.read(9, out);
  expect(out).toEqual(sector(0x55));
  disk.read(0, out);
  expect(out).toEqual(sector(0));
  const other = openDisk(memoryStore(image(8)), 'copy-on-write', 'd');
  expect(() => other.restore(saved)).toThrow(expect.objectContaining({ code: 'machine/snapshot' }));
});

test('a store without a sector is no disk', () => {
  expect(() => openDisk(memoryStore(100), 'read-only', 'small.img')).toThrow(
    expect.objectContaining({ code: 'disk/too-small' }),
  );
});

test('disks of one machine have serial numbers of their own', () => {
  const serials = [1, 2].map((n) => openDisk(memoryStore(512), 'read-write', 'd', n).serial);
  expect(serials).toEqual(['PVOPS-0001', 'PVOPS-0002']);
});
