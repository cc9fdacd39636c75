// Tests of an IDE channel: detection, IDENTIFY, reads and writes of all kinds, errors, interrupts and times.

import { expect, test } from 'vitest';
import { type Disk, diskNanos, memoryStore, openDisk, SECTOR_BYTES } from '../disk.ts';
import { BenchTop } from '../testing/bench-top.ts';
import { ideChannel } from './ide.ts';

const BUSY = 0x80;
const DRQ = 0x08;
const ERR = 0x01;
const READY = 0x50;
const LBA = 0xe0;

function build(disks: readonly (Disk | null)[] = [disk(4096)]) {
  const bench = new BenchTop();
  const device = bench.plug(ideChannel, { name: 'ide', irq: bench.irq, clock: bench.clock, disks });
  const status = () => device.in(0, 1);
  const issue = (code: number, regs: readonly number[] = []) => {
    regs.forEach((value, i) => {
      device.out(2 + i, value);
    });
    device.out(7, code);
  };
  const settle = () => {
    while ((status() & BUSY) !== 0) bench.pass(1000);
  };
  const readSector = () => {
    const bytes = new Uint8Array(SECTOR_BYTES);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < SECTOR_BYTES; i += 2) view.setUint16(i, device.in(0, 0, 2), true);
    return bytes;
  };
  const writeSector = (value: number) => {
    for (let i = 0; i < SECTOR_BYTES; i += 2) device.out(0, value * 0x0101, 0, 2);
  };
  return { bench, device, status, issue, settle, readSector, writeSector };
}

function disk(sectors: number, mode: 'read-write' | 'read-only' = 'read-write'): Disk {
  const bytes = Uint8Array.from({ length: sectors * SECTOR_BYTES }, (_, i) => (i >> 9) & 0xff);
  return openDisk(memoryStore(bytes), mode, 'test');
}

test('an empty channel floats; a missing second device reads as zero beside a first', () => {
  expect(build([null, null]).device.in(7)).toBe(0xff);
  const { device } = build();
  device.out(6, 0xb0);
  expect([device.in(7), device.in(2)]).toEqual([0, 0]);
  device.out(6, 0xa0);
  expect(device.in(7)).toBe(READY);
});

test('a software reset is busy while it lasts and leaves the signature of a plain disk', () => {
  const { bench, device, status } = build();
  device.out(0, 4, 1);
  expect(status()).toBe(BUSY);
  device.out(0, 0, 1);
  expect(status() & BUSY).toBe(BUSY);
  bench.pass(1_000_000);
  expect([1, 2, 3, 4, 5].map((at) => device.in(at))).toEqual([1, 1, 1, 0, 0]);
  expect(status()).toBe(READY);
});

test('IDENTIFY DEVICE names the disk, its size and its modes, after an interrupt', () => {
  const { bench, status, issue, settle, readSector, device } = build();
  issue(0xec, [0, 0, 0, 0, 0xa0]);
  expect([status() & BUSY, bench.irq.level]).toEqual([BUSY, false]);
  settle();
  expect([status() & DRQ, bench.irq.level]).toEqual([DRQ, true]);
  device.in(7);
  expect(bench.irq.level).toBe(false);
  const words = new DataView(readSector().buffer);
  const word = (n: number) => words.getUint16(n * 2, true);
  expect([word(0), word(3), word(6), word(49), word(60), word(100)]).toEqual([
    0x40, 16, 63, 0xa00, 4096, 4096,
  ]);
  const model = Array.from({ length: 14 }, (_, i) =>
    String.fromCharCode(words.getUint8((54 + i) ^ 1)),
  );
  expect(model.join('')).toBe('PVOPS HARDDISK');
  expect(status()).toBe(READY);
});

test('READ SECTORS gives each sector after an interrupt of its own, at the time of the model', () => {
  const { bench, issue, status, readSector, settle } = build();
  issue(0x20, [2, 5, 0, 0, LBA]);
  bench.pass(diskNanos(SECTOR_BYTES) - 1);
  expect(status() & BUSY).toBe(BUSY);
  bench.pass(1);
  expect([status() & DRQ, bench.irq.rises]).toEqual([DRQ, 1]);
  expect(readSector()[0]).toBe(5);
  expect(status() & BUSY).toBe(BUSY);
  settle();
  expect(readSector()[511]).toBe(6);
  expect(status()).toBe(READY);
});

test('cylinder, head and sector reach the same place as the block address', () => {
  const { issue, settle, readSector } = build();
  issue(0x20, [1, 3, 1, 0, 0xa2]); // cylinder 1, head 2, sector 3: (16 + 2) * 63 + 2
  settle();
  expect(readSector()[0]).toBe(((16 + 2) * 63 + 2) & 0xff);
});

test('READ MULTIPLE moves blocks, and needs SET MULTIPLE MODE before', () => {
  const { issue, settle, status, readSector, device, bench } = build();
  issue(0xc4, [3, 8, 0, 0, LBA]);
  expect([status() & ERR, device.in(1)]).toEqual([ERR, 4]);
  issue(0xc6, [2]);
  settle();
  const before = bench.irq.rises;
  device.in(7);
  issue(0xc4, [3, 8, 0, 0, LBA]);
  settle();
  expect([readSector()[0], readSector()[0]]).toEqual([8, 9]);
  settle();
  device.in(7);
  expect(readSector()[0]).toBe(10);
  expect([status(), bench.irq.rises - before]).toEqual([READY, 1]); // The first rise was never lowered by a status read.
});

test('a 48-bit read takes the bytes written before as its high halves', () => {
  const { device, settle, readSector } = build();
  for (const [reg, value] of [
    [2, 0],
    [3, 0],
    [4, 0],
    [5, 0],
    [2, 1],
    [3, 0x34],
    [4, 0x02],
    [5, 0],
    [6, 0x40],
  ] as const)
    device.out(reg, value);
  device.out(7, 0x24);
  settle();
  expect(readSector()[0]).toBe(0x34);
  device.out(0, 0x80, 1);
  expect([device.in(3), device.in(4)]).toEqual([0, 0]);
});

test('WRITE SECTORS asks for data at once, interrupts after each sector, and the disk has it', () => {
  const held = disk(64);
  const { bench, issue, settle, status, writeSector, device } = build([held]);
  issue(0x30, [2, 10, 0, 0, LBA]);
  expect([status() & DRQ, bench.irq.rises]).toEqual([DRQ, 0]);
  writeSector(0xa5);
  settle();
  expect([status() & DRQ, bench.irq.rises]).toEqual([DRQ, 1]);
  device.in(7);
  writeSector(0x5a);
  settle();
  expect([status(), bench.irq.rises]).toEqual([READY, 2]);
  const out = new Uint8Array(2 * SECTOR_BYTES);
  held.read(10, out);
  expect([out[0], out[512]]).toEqual([0xa5, 0x5a]);
});

test.each([
  ['a read beyond the end', 0x20, [1, 0xff, 0xff, 0xff, 0xef], 0x10],
  ['sector 0 by cylinder and head', 0x20, [1, 0, 0, 0, 0xa0], 0x10],
  ['a DMA command', 0xc8, [1, 0, 0, 0, LBA], 0x04],
  ['IDENTIFY PACKET DEVICE', 0xa1, [0, 0, 0, 0, 0xa0], 0x04],
  ['an odd SET MULTIPLE MODE', 0xc6, [3], 0x04],
  ['NOP', 0x00, [], 0x04],
] as const)('%s fails with its error bit and an interrupt', (_, code, regs, error) => {
  const { bench, issue, status, device } = build();
  issue(code, regs);
  expect([status() & ERR, device.in(1), bench.irq.level]).toEqual([ERR, error, true]);
});

test('a read-only disk aborts writes; FLUSH CACHE and SET FEATURES succeed; nIEN keeps the interrupt back', () => {
  const { bench, issue, settle, status, device } = build([disk(64, 'read-only')]);
  issue(0x30, [1, 0, 0, 0, LBA]);
  expect(device.in(1)).toBe(4);
  device.out(0, 2, 1);
  const rises = bench.irq.rises;
  for (const [code, feature] of [
    [0xe7, 0],
    [0xef, 0x82],
    [0xe5, 0],
  ] as const) {
    device.out(1, feature);
    issue(code);
    settle();
    expect(status()).toBe(READY);
  }
  expect([bench.irq.rises, device.in(2)]).toEqual([rises, 0xff]);
  device.out(0, 0, 1);
  expect(bench.irq.level).toBe(true);
});

test('the data port moves dwords too', () => {
  const { issue, settle, device } = build();
  issue(0x20, [1, 7, 0, 0, LBA]);
  settle();
  expect(device.in(0, 0, 4)).toBe(0x07070707);
});
