// Tests of the block device against virtio 1.2 section 5.2, over a disk in memory.

import { expect, test } from 'vitest';
import { diskNanos, memoryStore, openDisk } from '../disk.ts';
import { assignState, copyState, type Plain, stateBytes } from '../snapshot.ts';
import { VirtioBench } from '../testing/virtio-bench.ts';
import { virtioBlk } from './blk.ts';
import { MMIO } from './transport-mmio.ts';

const SECTORS = 64;
const HEADER = 0x1000;
const DATA = 0x2000;
const STATUS = 0x3000;

function bench(mode: 'read-write' | 'read-only' = 'read-write') {
  const bytes = Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) ^ (i & 0xff));
  const dut = new VirtioBench(virtioBlk, { disk: openDisk(memoryStore(bytes), mode, 'disk') });
  return { dut, bytes };
}

type Dut = ReturnType<typeof bench>['dut'];

function header(dut: Dut, type: number, sector: number, at = HEADER): void {
  dut.ram.setU32(at, type);
  dut.ram.setU32(at + 4, 0);
  dut.ram.setU64(at + 8, sector % 2 ** 32, Math.floor(sector / 2 ** 32));
}

/** Submits one request, lets it complete, and gives its status byte and the used length. */
function request(dut: Dut, type: number, sector: number, bytes: number, write: boolean) {
  header(dut, type, sector);
  dut.ram.setU8(STATUS, 0xee);
  dut.rings[0]!.submit([
    { gpa: HEADER, bytes: 16 },
    ...(bytes > 0 ? [{ gpa: DATA, bytes, write }] : []),
    { gpa: STATUS, bytes: 1, write: true },
  ]);
  dut.notify(0);
  dut.top.pass(1e6);
  return { status: dut.ram.u8(STATUS), written: dut.rings[0]!.used()[0]?.written };
}

const read = (dut: Dut, sector: number, bytes: number) => request(dut, 0, sector, bytes, true);
const write = (dut: Dut, sector: number, bytes: number) => request(dut, 1, sector, bytes, false);

test('the config space tells capacity, limits and block size', () => {
  const { dut } = bench();
  const at = (offset: number) => dut.read(MMIO.config + offset);
  expect([at(0), at(4), at(8), at(12), at(20)]).toEqual([SECTORS, 0, 0x10000, 126, 512]);
});

test('sectors are read', () => {
  const { dut, bytes } = bench();
  dut.start([]);
  expect(read(dut, 3, 1024)).toEqual({ status: 0, written: 1025 });
  expect(dut.ram.read(DATA, 1024)).toEqual(bytes.slice(3 * 512, 5 * 512));
});

test('sectors are written', () => {
  const { dut, bytes } = bench();
  dut.start([]);
  dut.ram.fill(DATA, 512, 0x5a);
  expect(write(dut, 63, 512)).toEqual({ status: 0, written: 1 });
  expect(bytes.slice(63 * 512)).toEqual(new Uint8Array(512).fill(0x5a));
});

test('a request completes at submission plus the latency of the disk, and not before', () => {
  const { dut } = bench();
  dut.start([]);
  header(dut, 0, 0);
  dut.rings[0]!.submit([
    { gpa: HEADER, bytes: 16 },
    { gpa: DATA, bytes: 512, write: true },
    { gpa: STATUS, bytes: 1, write: true },
  ]);
  dut.notify(0);
  const nanos = diskNanos(16 + 512 + 1);
  dut.top.pass(nanos - 1);
  expect(dut.rings[0]!.used()).toEqual([]);
  dut.top.pass(1);
  expect(dut.rings[0]!.used()).toHaveLength(1);
});

test('the driver frames a request as it likes', () => {
  const { dut, bytes } = bench();
  dut.start([], { eventIndex: true });
  header(dut, 0, 7);
  dut.rings[0]!.submitIndirect(0x8000, [
    { gpa: HEADER, bytes: 5 },
    { gpa: HEADER + 5, bytes: 0 },
    { gpa: HEADER + 5, bytes: 11 },
    { gpa: DATA, bytes: 100, write: true },
    { gpa: DATA + 100, bytes: 413, write: true }, // The status byte is the last of these.
  ]);
  dut.notify(0);
  dut.top.pass(1e6);
  expect(dut.rings[0]!.used()[0]?.written).toBe(513);
  expect(dut.ram.read(DATA, 512)).toEqual(bytes.slice(7 * 512, 8 * 512));
  expect(dut.ram.u8(DATA + 512)).toBe(0);
});

test('sectors beyond the end fail, at any number', () => {
  const { dut } = bench();
  dut.start([]);
  expect(read(dut, SECTORS - 1, 1024)).toEqual({ status: 1, written: 0 });
  expect(read(dut, 2 ** 63, 512).status).toBe(1);
  expect(write(dut, SECTORS, 512)).toEqual({ status: 1, written: 1 });
  expect(dut.needsReset()).toBe(false);
});

test('what is no whole number of sectors, or beyond the segment limits, fails', () => {
  const { dut } = bench();
  dut.start([]);
  expect(read(dut, 0, 511).status).toBe(1);
  expect(read(dut, 0, 0x10200).status).toBe(1);
});

test('a read-only disk says so, and refuses writes', () => {
  const { dut, bytes } = bench('read-only');
  expect(dut.read(MMIO.deviceFeatures) & (1 << 5)).not.toBe(0);
  dut.start([5]);
  const before = bytes.slice();
  dut.ram.fill(DATA, 512, 0xff);
  expect(write(dut, 0, 512).status).toBe(1);
  expect(bytes).toEqual(before);
});

test('flush succeeds; the serial number comes padded; unknown requests are unsupported', () => {
  const { dut } = bench();
  dut.start([]);
  expect(request(dut, 4, 0, 0, false).status).toBe(0);
  expect(request(dut, 8, 0, 20, true)).toEqual({ status: 0, written: 21 });
  expect(dut.text(DATA, 20)).toBe('PVOPS-0001'.padEnd(20, '\0'));
  for (const type of [2, 11, 13, 14, 0xffffffff]) {
    expect(request(dut, type, 0, 16, false).status).toBe(2);
  }
});

test('a request without a header or a status byte breaks the device', () => {
  const { dut } = bench();
  dut.start([]);
  dut.rings[0]!.submit([{ gpa: HEADER, bytes: 16 }]);
  dut.notify(0);
  dut.top.pass(1e6);
  expect(dut.needsReset()).toBe(true);
  expect(dut.log[0]).toMatch(/16 bytes of header and data and 0 for its answer/);
});

test('a chain that turns bad between submission and completion breaks the device', () => {
  const { dut } = bench();
  dut.start([]);
  const ring = dut.rings[0]!;
  const head = ring.submit([
    { gpa: HEADER, bytes: 16 },
    { gpa: STATUS, bytes: 1, write: true },
  ]);
  dut.notify(0);
  ring.describe(ring.desc, head, 0xfffff000, 4096, 0);
  dut.top.pass(1e6);
  expect([dut.needsReset(), ring.used()]).toEqual([true, []]);
});

test('a notification takes up one request, and the clock paces the rest in order', () => {
  const { dut } = bench();
  dut.start([], { size: 64 });
  const heads = Array.from({ length: 20 }, (_, i) => {
    header(dut, 0, i, HEADER + 16 * i);
    return dut.rings[0]!.submit([
      { gpa: HEADER + 16 * i, bytes: 16 },
      { gpa: DATA + 512 * i, bytes: 512, write: true },
      { gpa: STATUS + 0x8000, bytes: 1, write: true },
    ]);
  });
  dut.notify(0);
  dut.top.pass(5 * diskNanos(529));
  expect(dut.rings[0]!.used().map((entry) => entry.head)).toEqual(heads.slice(0, 5));
  dut.top.pass(15 * diskNanos(529));
  expect(dut.rings[0]!.used().map((entry) => entry.head)).toEqual(heads.slice(5));
});

test('a snapshot in the middle of a request goes on as the run did', () => {
  const { dut } = bench();
  dut.start([]);
  header(dut, 0, 9);
  dut.rings[0]!.submit([
    { gpa: HEADER, bytes: 16 },
    { gpa: DATA, bytes: 512, write: true },
    { gpa: STATUS, bytes: 1, write: true },
  ]);
  dut.notify(0);
  dut.top.pass(1000);
  const state = copyState(dut.device.state as unknown as Plain);
  const clock = dut.top.clock.save();
  const ram = dut.ram.read(0, dut.ram.bytes)!;

  const { dut: other } = bench();
  other.ram.write(0, ram);
  other.top.clock.restore(clock);
  assignState(other.device.state as unknown as Plain, state, 'device');
  for (const one of [dut, other]) one.top.pass(1e6);
  const final = (one: Dut) => stateBytes(one.device.state as unknown as Plain);
  expect(final(other)).toEqual(final(dut));
  expect(other.ram.read(0, 0x10000)).toEqual(dut.ram.read(0, 0x10000));
  expect(other.ram.u8(STATUS)).toBe(0);
});
