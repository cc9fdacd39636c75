// Tests of guest RAM: bounds, write reports, and growth of the linear memory beneath it.

import { expect, test } from 'vitest';
import { GuestRam, memoryMap } from './memory.ts';

function ram(bytes = 0x10000) {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 4 });
  const written: number[][] = [];
  return { memory, written, ram: new GuestRam(memory, 0x8000, bytes, (...w) => written.push(w)) };
}

test('every write is reported with its address and length', () => {
  const { ram: r, written } = ram();
  expect(r.write(0x100, Uint8Array.of(1, 2, 3))).toBe(true);
  r.setU32(0x200, 0xdeadbeef);
  r.setU64(0x208, 1, 2);
  r.fill(0x300, 16, 0xcc);
  expect(written).toEqual([
    [0x100, 3],
    [0x200, 4],
    [0x208, 8],
    [0x300, 16],
  ]);
  expect([r.u8(0x102), r.u16(0x200), r.u32(0x200), r.u32(0x20c)]).toEqual([
    3, 0xbeef, 0xdeadbeef, 2,
  ]);
});

test('what does not lie in RAM is refused without a throw and without a report', () => {
  const { ram: r, written } = ram(0x1000);
  expect(r.write(0xffe, Uint8Array.of(1, 2, 3))).toBe(false);
  expect(r.setU32(0xffd, 1)).toBe(false);
  expect(r.fill(-1, 4, 0)).toBe(false);
  expect(r.read(2 ** 52, 1)).toBeNull();
  expect(r.view(0.5, 1)).toBeNull();
  expect(r.view(Number.NaN, 1)).toBeNull();
  expect(r.u32(0x1000)).toBe(-1);
  expect(written).toEqual([]);
});

test('RAM survives growth of the linear memory', () => {
  const { ram: r, memory } = ram();
  r.setU32(0x40, 0x12345678);
  memory.grow(1);
  expect(r.u32(0x40)).toBe(0x12345678);
  r.setU8(0x40, 1);
  expect(new Uint8Array(memory.buffer)[0x8040]).toBe(1);
});

test('the memory map covers RAM and reserves the tables below 1 MiB', () => {
  expect(memoryMap(512 << 20)).toEqual([
    { start: 0, size: 0x9fc00, type: 1 },
    { start: 0x9fc00, size: 0x60400, type: 2 },
    { start: 0x100000, size: 0x1ff00000, type: 1 },
  ]);
});
