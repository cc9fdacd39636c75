// Tests of the HPET: its counter against the clock, one-shot and periodic comparators, routes, legacy replacement.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { hpet } from './hpet.ts';

const TIMER = (n: number) => 0x100 + n * 0x20;

function build() {
  const bench = new BenchTop();
  const pins: [number, boolean, number][] = [];
  const legacy: [number, boolean, number][] = [];
  const modes: boolean[] = [];
  const device = bench.plug(hpet, {
    clock: bench.clock,
    setPin: (pin, level) => pins.push([pin, level, bench.clock.now()]),
    setLegacyIrq: (irq, level) => legacy.push([irq, level, bench.clock.now()]),
    setLegacy: (on) => modes.push(on),
  });
  return { bench, device, pins, legacy, modes };
}

test('the capabilities say three 64-bit timers, legacy replacement and 10 ns', () => {
  const { device } = build();
  expect([device.load(0), device.load(4)]).toEqual([0x8086a201, 10_000_000]);
  expect([device.load(TIMER(0)), device.load(TIMER(0) + 4)]).toEqual([0x30, 0x00f00000]);
});

test('the counter counts the clock in tens of nanoseconds while it is enabled, and can be set', () => {
  const { bench, device } = build();
  bench.pass(1000);
  expect(device.load(0xf0)).toBe(0);
  device.store(0x10, 1);
  bench.pass(1239);
  expect(device.load(0xf0)).toBe(123);
  device.store(0x10, 0);
  bench.pass(500);
  expect(device.load(0xf0)).toBe(123);
  device.store(0xf0, 0xfffffff0);
  device.store(0xf4, 0x12);
  device.store(0x10, 1);
  bench.pass(320);
  expect([device.load(0xf0), device.load(0xf4)]).toEqual([16, 0x13]);
});

test('a one-shot comparator pulses its pin when the counter reaches it, once', () => {
  const { bench, device, pins } = build();
  device.store(TIMER(1), 0x4 | (20 << 9));
  device.store(TIMER(1) + 8, 100);
  device.store(TIMER(1) + 12, 0);
  device.store(0x10, 1);
  bench.pass(999);
  expect(pins).toEqual([]);
  bench.pass(10_000);
  expect(pins).toEqual([[20, true, 1000]]);
});

test('a comparator in 32-bit mode fires again when the counter has gone round', () => {
  const { bench, device, pins } = build();
  device.store(TIMER(0), 0x4 | 0x100 | (21 << 9));
  device.store(TIMER(0) + 8, 50);
  device.store(0x10, 1);
  bench.pass(2 ** 32 * 10 + 1000);
  expect(pins.filter(([, level]) => level).map(([, , at]) => at)).toEqual([
    500,
    2 ** 32 * 10 + 500,
  ]);
});

test('a periodic timer keeps its period, also after it was looked at late', () => {
  const { bench, device, pins } = build();
  device.store(TIMER(0), 0x4 | 0x8 | 0x40 | 0x100 | (22 << 9));
  device.store(TIMER(0) + 8, 30); // First at 30, after VAL_SET.
  device.store(TIMER(0) + 8, 20); // Then each 20.
  device.store(0x10, 1);
  bench.pass(1000);
  const rises = pins.filter(([, level]) => level).map(([, , at]) => at);
  expect(rises).toEqual([300, 500, 700, 900]);
  expect(device.load(TIMER(0) + 8)).toBe(110);
});

test('a level-triggered timer holds its pin until its status bit is cleared', () => {
  const { bench, device, pins } = build();
  device.store(TIMER(2), 0x4 | 0x2 | (23 << 9));
  device.store(TIMER(2) + 8, 10);
  device.store(TIMER(2) + 12, 0);
  device.store(0x10, 1);
  bench.pass(200);
  expect([device.load(0x20), pins]).toEqual([4, [[23, true, 100]]]);
  device.store(0x20, 4);
  expect([device.load(0x20), pins.at(-1)]).toEqual([0, [23, false, 200]]);
});

test('legacy replacement sends timers 0 and 1 to IRQ 0 and 8 whatever their routes say', () => {
  const { bench, device, pins, legacy, modes } = build();
  for (const n of [0, 1]) {
    device.store(TIMER(n), 0x4 | (20 << 9));
    device.store(TIMER(n) + 8, 10 + n);
    device.store(TIMER(n) + 12, 0);
  }
  device.store(0x10, 3);
  bench.pass(1000);
  expect([pins, modes]).toEqual([[], [true]]);
  expect(legacy).toEqual([
    [0, true, 100],
    [8, true, 110],
  ]);
});
