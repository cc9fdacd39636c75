// Tests of the port and memory buses: splitting, floating reads, bounded notes.

import { expect, test } from 'vitest';
import { MmioBus, PortBus } from './bus.ts';

function bytesDevice() {
  const log: string[] = [];
  return {
    log,
    handler: {
      read: (offset: number) => 0x10 + offset,
      write: (offset: number, value: number) => {
        log.push(`${offset}=${value.toString(16)}`);
      },
    },
  };
}

test('a dword read of an 8-bit device is four byte reads, and floats beyond its end', () => {
  const bus = new PortBus();
  bus.claim(0x100, 2, bytesDevice().handler);
  expect(bus.read(0x100, 4)).toBe(0xffff1110);
  expect(bus.read(0x101, 1)).toBe(0x11);
});

test('a word write reaches an 8-bit device as two bytes, low byte first', () => {
  const bus = new PortBus();
  const device = bytesDevice();
  bus.claim(0x100, 4, device.handler);
  bus.write(0x101, 2, 0xabcd);
  expect(device.log).toEqual(['1=cd', '2=ab']);
});

test('a wide device sees a word whole, but bytes when the word runs over its end', () => {
  const bus = new PortBus();
  const seen: number[][] = [];
  bus.claim(0x100, 4, {
    wide: true,
    read: (_offset, bytes) => bytes,
    write: (offset, value, bytes) => seen.push([offset, value, bytes]),
  });
  expect(bus.read(0x102, 2)).toBe(2);
  expect(bus.read(0x103, 2)).toBe(0xff01);
  bus.write(0x100, 4, 0x89abcdef);
  expect(seen).toEqual([[0, 0x89abcdef, 4]]);
});

test('an unclaimed port floats, is noted once, and the list of notes is bounded', () => {
  const bus = new PortBus();
  for (let i = 0; i < 3; i++) expect(bus.read(0x1f0, 1)).toBe(0xff);
  bus.write(0x1f0, 1, 0);
  expect(bus.unclaimed).toEqual([{ space: 'port', address: 0x1f0, write: false }]);
  for (let port = 0; port < 0x10000; port++) bus.write(port, 4, port);
  expect(bus.unclaimed.length).toBe(256);
});

test('a port claimed twice is a bug', () => {
  const bus = new PortBus();
  bus.claim(0x100, 8, bytesDevice().handler);
  expect(() => bus.claim(0x107, 1, bytesDevice().handler)).toThrow(/claimed twice/);
});

test('memory reads of every size and alignment are cut out of aligned dwords', () => {
  const bus = new MmioBus();
  const memory = [0x33221100, 0x77665544, 0xbbaa9988];
  bus.claim(0x1000, 12, { read: (offset) => memory[offset / 4]!, write: () => {} });
  const out = new Uint32Array(2);
  const read = (gpa: number, bytes: number) => {
    bus.read(gpa, bytes, out);
    return [out[0], out[1]];
  };
  expect(read(0x1001, 1)).toEqual([0x11, 0]);
  expect(read(0x1003, 2)).toEqual([0x4433, 0]);
  expect(read(0x1002, 4)).toEqual([0x55443322, 0]);
  expect(read(0x1000, 8)).toEqual([0x33221100, 0x77665544]);
  expect(read(0x1003, 8)).toEqual([0x66554433, 0xaa998877]);
});

test('a qword write is two dwords; one that straddles is bytes', () => {
  const bus = new MmioBus();
  const log: number[][] = [];
  bus.claim(0x1000, 16, { read: () => 0, write: (...args) => log.push(args) });
  bus.write(0x1008, 8, 0x11223344, 0x55667788);
  bus.write(0x1003, 2, 0xbeef, 0);
  expect(log).toEqual([
    [8, 0x11223344, 4],
    [12, 0x55667788, 4],
    [3, 0xef, 1],
    [4, 0xbe, 1],
  ]);
});

test('a moved window answers at its new place only; unclaimed memory reads ones and is noted once a page', () => {
  const bus = new MmioBus();
  const window = bus.claim(0xfee00000, 0x1000, { read: () => 7, write: () => {} });
  const out = new Uint32Array(2);
  window.place(0xfed00000, true);
  expect([bus.claims(0xfee00000), bus.claims(0xfed00ffc)]).toEqual([false, true]);
  bus.read(0xfee00020, 8, out);
  bus.write(0xfee00030, 4, 1, 0);
  expect([...out]).toEqual([0xffffffff, 0xffffffff]);
  expect(bus.unclaimed).toEqual([{ space: 'memory', address: 0xfee00020, write: false }]);
  window.place(0xfed00000, false);
  expect(bus.claims(0xfed00000)).toBe(false);
});

test('where windows overlap, the first claim answers, whatever was accessed before', () => {
  const bus = new MmioBus();
  bus.claim(0x1000, 0x1000, { read: () => 1, write: () => {} });
  const moved = bus.claim(0x8000, 0x2000, { read: () => 2, write: () => {} });
  moved.place(0x1000, true);
  const out = new Uint32Array(2);
  const read = (gpa: number) => {
    bus.read(gpa, 4, out);
    return out[0];
  };
  expect([read(0x2000), read(0x1000), read(0x2000)]).toEqual([2, 1, 2]);
  moved.place(0x8000, true);
  expect([read(0x1000), read(0x8000)]).toEqual([1, 2]);
});
