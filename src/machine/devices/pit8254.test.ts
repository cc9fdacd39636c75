// Tests of the interval timer against the 8254 datasheet: modes, gates, latches, and its interrupt.

import { expect, test } from 'vitest';
import { nanosToTicks, PIT_HZ, ticksToNanos } from '../frequency.ts';
import { BenchTop } from '../testing/bench-top.ts';
import { pit8254 } from './pit8254.ts';

const CONTROL = 3;

function bench() {
  const bench = new BenchTop();
  const pit = bench.plug(pit8254, { irq: bench.irq, clock: bench.clock });
  /** Moves to the nth input clock. */
  const at = (tick: number) => bench.until(ticksToNanos(PIT_HZ, tick));
  const count = (counter: number) => pit.in(counter) | (pit.in(counter) << 8);
  const program = (counter: number, mode: number, value: number, bcd = 0) => {
    pit.out(CONTROL, (counter << 6) | 0x30 | (mode << 1) | bcd);
    pit.out(counter, value & 0xff);
    pit.out(counter, value >> 8);
  };
  const gate = (level: boolean) => pit.out(0, level ? 1 : 0, 1);
  const out2 = () => (pit.in(0, 1) & 0x20) !== 0;
  return { bench, pit, at, count, program, gate, out2 };
}

test('mode 0: OUT goes low with the control word and high N+1 clocks after the count', () => {
  const { at, gate, program, out2, count } = bench();
  at(100);
  gate(true);
  program(2, 0, 10);
  expect(out2()).toBe(false);
  at(101);
  expect(count(2)).toBe(10);
  at(110);
  expect([out2(), count(2)]).toEqual([false, 1]);
  at(111);
  expect([out2(), count(2)]).toEqual([true, 0]);
  at(112);
  expect([out2(), count(2)]).toEqual([true, 0xffff]);
});

test('mode 0: a low gate stops the count and loses nothing', () => {
  const { at, gate, program, out2, count } = bench();
  gate(true);
  program(2, 0, 100);
  at(51);
  gate(false);
  expect(count(2)).toBe(50);
  at(1000);
  expect(count(2)).toBe(50);
  gate(true);
  at(1049);
  expect(out2()).toBe(false);
  at(1050);
  expect(out2()).toBe(true);
});

test('mode 0: the first byte of a new count stops counting and lowers OUT', () => {
  const { at, gate, program, out2, pit } = bench();
  gate(true);
  program(2, 0, 5);
  at(50);
  expect(out2()).toBe(true);
  pit.out(2, 5);
  expect(out2()).toBe(false);
  at(90);
  expect(out2()).toBe(false);
  pit.out(2, 0);
  at(95);
  expect(out2()).toBe(false);
  at(96);
  expect(out2()).toBe(true);
});

test('mode 1: the gate’s rising edge starts a low pulse of N clocks, and starts it again', () => {
  const { at, gate, program, out2 } = bench();
  program(2, 1, 10);
  at(5);
  expect(out2()).toBe(true);
  gate(true);
  at(6);
  expect(out2()).toBe(false);
  at(10);
  gate(false);
  gate(true); // Loaded at 11.
  at(20);
  expect(out2()).toBe(false);
  at(21);
  expect(out2()).toBe(true);
});

test('mode 2: OUT is low for the last clock of each period', () => {
  const { at, gate, program, out2, count } = bench();
  gate(true);
  program(2, 2, 4); // Loaded at 1.
  const shape = [];
  for (let tick = 1; tick <= 9; tick++) {
    at(tick);
    shape.push([count(2), out2()]);
  }
  expect(shape.map(([value]) => value)).toEqual([4, 3, 2, 1, 4, 3, 2, 1, 4]);
  expect(shape.map(([, out]) => out)).toEqual([
    true,
    true,
    true,
    false,
    true,
    true,
    true,
    false,
    true,
  ]);
});

test('mode 2: a new count takes effect at the end of the period', () => {
  const { at, gate, program, pit, count } = bench();
  gate(true);
  program(2, 2, 100);
  at(50);
  pit.out(2, 10);
  pit.out(2, 0);
  at(100);
  expect(count(2)).toBe(1);
  at(101);
  expect(count(2)).toBe(10);
  at(111);
  expect(count(2)).toBe(10);
});

test('mode 3: an even count is a square wave counted by twos', () => {
  const { at, gate, program, out2, count } = bench();
  gate(true);
  program(2, 3, 6);
  const shape = [];
  for (let tick = 1; tick <= 7; tick++) {
    at(tick);
    shape.push([count(2), out2()]);
  }
  expect(shape).toEqual([
    [6, true],
    [4, true],
    [2, true],
    [6, false],
    [4, false],
    [2, false],
    [6, true],
  ]);
});

test('mode 3: an odd count is high for (N+1)/2 clocks', () => {
  const { at, gate, program, out2, count } = bench();
  gate(true);
  program(2, 3, 5);
  const shape = [];
  for (let tick = 1; tick <= 6; tick++) {
    at(tick);
    shape.push([count(2), out2()]);
  }
  expect(shape).toEqual([
    [4, true],
    [2, true],
    [0, true],
    [4, false],
    [2, false],
    [4, true],
  ]);
});

test('mode 3: a new count takes effect at the end of the half cycle', () => {
  const { at, gate, program, pit, out2 } = bench();
  gate(true);
  program(2, 3, 100); // High until 51.
  at(10);
  pit.out(2, 10);
  pit.out(2, 0);
  at(50);
  expect(out2()).toBe(true);
  at(51);
  expect(out2()).toBe(false);
  at(55);
  expect(out2()).toBe(false);
  at(56);
  expect(out2()).toBe(true);
});

test('mode 4: one low clock, N clocks after the load, once', () => {
  const { at, gate, program, out2 } = bench();
  gate(true);
  program(2, 4, 10);
  const low = [];
  for (let tick = 1; tick < 200; tick++) {
    at(tick);
    if (!out2()) low.push(tick);
  }
  expect(low).toEqual([11]);
});

test('mode 5: the strobe follows the gate’s edge', () => {
  const { at, gate, program, out2 } = bench();
  program(2, 5, 10);
  at(100);
  expect(out2()).toBe(true);
  gate(true);
  const low = [];
  for (let tick = 101; tick < 200; tick++) {
    at(tick);
    if (!out2()) low.push(tick);
  }
  expect(low).toEqual([111]);
});

test('a BCD count counts decimally, and zero is 10000', () => {
  const { at, gate, program, count } = bench();
  gate(true);
  program(2, 2, 0, 1);
  at(2);
  expect(count(2)).toBe(0x9999);
  program(2, 0, 0x0100, 1);
  at(4);
  expect(count(2)).toBe(0x0099);
});

test('a latched count stays until it is read, whatever is latched after it', () => {
  const { at, gate, program, pit, count } = bench();
  gate(true);
  program(2, 2, 1000);
  at(101);
  pit.out(CONTROL, 0x80);
  at(201);
  pit.out(CONTROL, 0x80);
  expect(count(2)).toBe(900);
  expect(count(2)).toBe(800);
});

test('read-back latches status and count, and status is read first', () => {
  const { at, program, pit, count } = bench();
  pit.out(CONTROL, 0x34);
  pit.out(CONTROL, 0xe2); // status of counter 0: no count yet
  expect(pit.in(0)).toBe(0xf4);
  program(0, 2, 500);
  at(101);
  pit.out(CONTROL, 0xc2);
  at(301);
  expect(pit.in(0)).toBe(0xb4);
  expect(count(0)).toBe(400);
});

test('counters of one byte read and write that byte alone', () => {
  const { at, pit } = bench();
  pit.out(CONTROL, 0x14); // counter 0, low byte, mode 2
  pit.out(0, 200);
  at(101);
  expect([pit.in(0), pit.in(0)]).toEqual([100, 100]);
  pit.out(CONTROL, 0x24); // high byte
  pit.out(0, 2);
  at(102);
  expect(pit.in(0)).toBe(2);
});

test('counter 0 in mode 2 interrupts a hundred times a second without drift over an hour', () => {
  const { bench: b, program } = bench();
  program(0, 2, 11932);
  const before = b.irq.rises;
  b.pass(3600e9);
  expect(b.irq.rises - before).toBe(Math.floor((nanosToTicks(PIT_HZ, 3600e9) - 1) / 11932));
});

test('counter 0 in mode 0 interrupts once, at the first nanosecond of its terminal count', () => {
  const { bench: b, program } = bench();
  program(0, 0, 1000);
  const due = ticksToNanos(PIT_HZ, 1001);
  b.until(due - 1);
  expect(b.irq.level).toBe(false);
  b.until(due);
  expect(b.irq.level).toBe(true);
  b.pass(1e9);
  expect(b.irq.rises).toBe(1);
});

test('the refresh bit of port 0x61 toggles every 18 clocks, and its low bits read back', () => {
  const { at, pit } = bench();
  pit.out(0, 0x0f, 1);
  expect(pit.in(0, 1) & 0x1f).toBe(0x0f);
  at(18);
  expect(pit.in(0, 1) & 0x10).toBe(0x10);
  at(36);
  expect(pit.in(0, 1) & 0x10).toBe(0);
});
