// Tests of the I/O APIC against the 82093AA datasheet and its EOI register.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { ApicBus } from './apic-bus.ts';
import { ioapic } from './ioapic.ts';

function bench() {
  const bus = new ApicBus();
  const got: [mode: number, vector: number, level: boolean][] = [];
  let takes = true;
  bus.attach({
    matches: (destination, logical) => (logical ? (destination & 1) !== 0 : destination === 0),
    priority: () => 0,
    accept(mode, vector, level) {
      if (takes) got.push([mode, vector, level]);
      return takes;
    },
  });
  const io = new BenchTop().plug(ioapic, { bus, changed: () => {} });
  const read = (index: number) => {
    io.store(0, index);
    return io.load(0x10);
  };
  const write = (index: number, value: number) => {
    io.store(0, index, 1);
    io.store(0x10, value);
  };
  const refuse = () => {
    takes = false;
  };
  return { io, bus, got, read, write, refuse, pin: io.face.setPin };
}

test('it is version 0x20 with 24 masked entries, and its ID is writable', () => {
  const { read, write } = bench();
  expect(read(1)).toBe(0x00170020);
  expect(read(0x10 + 46)).toBe(0x10000);
  expect(read(0x40)).toBe(0);
  write(0, 0xffffffff);
  expect(read(0)).toBe(0x0f000000);
  write(0x11, 0xffffffff);
  expect(read(0x11)).toBe(0xff000000);
});

test('an edge is sent once, to a physical or a logical destination', () => {
  const { got, write, pin } = bench();
  write(0x18, 0x0044);
  pin(4, true);
  pin(4, true);
  pin(4, false);
  write(0x19, 0x01000000);
  pin(4, true); // physical 1: nobody
  pin(4, false);
  write(0x18, 0x0844);
  pin(4, true);
  expect(got).toEqual([
    [0, 0x44, false],
    [0, 0x44, false],
  ]);
});

test('an edge on a masked pin is lost, a level on a masked pin is not', () => {
  const { got, write, pin } = bench();
  write(0x18, 0x10044);
  pin(4, true);
  write(0x18, 0x00044);
  expect(got).toEqual([]);
  write(0x1a, 0x18055);
  pin(5, true);
  write(0x1a, 0x08055);
  expect(got).toEqual([[0, 0x55, true]]);
});

test('a level waits for its end of interrupt, and is sent again while it is up', () => {
  const { got, write, read, pin, bus } = bench();
  write(0x1a, 0x8055);
  pin(5, true);
  expect(read(0x1a)).toBe(0xc055);
  pin(5, false);
  pin(5, true);
  expect(got).toHaveLength(1);
  bus.endOfInterrupt(0x56);
  expect(got).toHaveLength(1);
  bus.endOfInterrupt(0x55);
  expect(got).toHaveLength(2);
  pin(5, false);
  bus.endOfInterrupt(0x55);
  expect(read(0x1a)).toBe(0x8055);
  expect(got).toHaveLength(2);
});

test('the EOI register ends a level directly; switching to edge clears remote IRR', () => {
  const { io, write, read, pin } = bench();
  write(0x1a, 0x8055);
  pin(5, true);
  pin(5, false);
  io.store(0x40, 0x55);
  expect(read(0x1a)).toBe(0x8055);
  pin(5, true);
  expect(read(0x1a)).toBe(0xc055);
  write(0x1a, 0x10055);
  write(0x1a, 0x18055);
  expect(read(0x1a)).toBe(0x18055);
});

test('an active-low pin is asserted by its low level', () => {
  const { got, write, pin } = bench();
  pin(9, true);
  write(0x22, 0xa066);
  expect(got).toEqual([]);
  pin(9, false);
  expect(got).toEqual([[0, 0x66, true]]);
});

test('a level that no APIC took leaves remote IRR clear', () => {
  const { write, read, pin, refuse } = bench();
  refuse();
  write(0x1a, 0x8055);
  pin(5, true);
  expect(read(0x1a)).toBe(0x8055);
});

test('lowest priority is delivered as fixed, NMI as an edge; ExtINT only shows its level', () => {
  const { io, got, write, pin } = bench();
  write(0x12, 0x0131);
  pin(1, true);
  write(0x14, 0x8400);
  expect(io.face.mayRaiseNmi()).toBe(true);
  pin(2, true);
  expect(got).toEqual([
    [0, 0x31, false],
    [4, 0, false],
  ]);
  write(0x10, 0x0700);
  expect(io.face.extInt()).toBe(false);
  pin(0, true);
  expect([io.face.extInt(), got.length]).toEqual([true, 2]);
  write(0x10, 0x10700);
  expect(io.face.extInt()).toBe(false);
});
