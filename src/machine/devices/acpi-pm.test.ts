// Tests of ACPI power management and of the other ways to switch a machine off or reset it.

import { expect, test } from 'vitest';
import { nanosToTicks, PM_TIMER_HZ, ticksToNanos } from '../frequency.ts';
import { BenchTop } from '../testing/bench-top.ts';
import { acpiPm } from './acpi-pm.ts';
import { keyboardReset } from './keyboard-reset.ts';
import { port92 } from './port92.ts';
import { postPort } from './post-port.ts';
import { resetControl } from './reset-control.ts';

const [EVENT, ENABLE, CONTROL, TIMER] = [0, 2, 4, 8] as const;

function bench(timerBits: 24 | 32 = 32) {
  const bench = new BenchTop();
  const { irq: sci, clock, powerLines: power } = bench;
  return { bench, sci, pm: bench.plug(acpiPm, { sci, clock, power, timerBits }) };
}

test('the timer counts 3.579545 MHz and reads the same whole and in parts', () => {
  const { bench: b, pm } = bench();
  b.pass(100e9);
  const ticks = nanosToTicks(PM_TIMER_HZ, 100e9);
  expect(ticks).toBe(357954500);
  expect(pm.in(TIMER, 0, 4)).toBe(ticks);
  expect(pm.in(TIMER, 0, 2) + pm.in(TIMER + 2, 0, 2) * 65536).toBe(ticks);
  expect(pm.in(TIMER + 1, 0, 2)).toBe((ticks >> 8) & 0xffff);
  expect(pm.in(TIMER + 3)).toBe(ticks >>> 24);
});

test('the timer wraps at its width and reports each toggle of its top bit by SCI', () => {
  const { bench: b, pm, sci } = bench(24);
  pm.out(ENABLE, 1, 0, 2);
  const toggle = ticksToNanos(PM_TIMER_HZ, 2 ** 23);
  b.until(toggle - 1);
  expect(sci.level).toBe(false);
  b.until(toggle);
  expect([sci.level, pm.in(EVENT, 0, 2)]).toEqual([true, 1]);
  pm.out(EVENT, 1, 0, 2);
  expect([sci.level, pm.in(EVENT, 0, 2)]).toEqual([false, 0]);
  b.until(ticksToNanos(PM_TIMER_HZ, 2 ** 24));
  expect([sci.rises, pm.in(TIMER, 0, 4)]).toEqual([2, 0]);
});

test('the power button raises the SCI when enabled, and its status is cleared by writing one', () => {
  const { pm, sci } = bench();
  pm.face.powerButton();
  expect([sci.level, pm.in(EVENT, 0, 2)]).toEqual([false, 0x100]);
  pm.out(ENABLE + 1, 0x01);
  expect([sci.level, pm.in(ENABLE, 0, 2)]).toEqual([true, 0x100]);
  pm.out(EVENT, 0xff); // The low byte only.
  expect(sci.level).toBe(true);
  pm.out(EVENT + 1, 0x01);
  expect([sci.level, pm.in(EVENT, 0, 2)]).toEqual([false, 0]);
});

test('ACPI is always enabled, and sleep type 5 with the enable bit switches off', () => {
  const { bench: b, pm } = bench();
  pm.out(CONTROL, 5 << 10, 0, 2);
  expect([pm.in(CONTROL, 0, 2), b.power]).toEqual([0x1401, []]);
  pm.out(CONTROL, 0x2000 | (1 << 10), 0, 2);
  expect(b.power).toEqual([]);
  pm.out(CONTROL, 0x2000 | (5 << 10), 0, 2);
  expect(b.power).toEqual(['off: ACPI: sleep type S5']);
  expect(pm.in(CONTROL, 0, 2) & 0x2000).toBe(0);
});

test('the reset control register resets on the rising edge of its CPU bit', () => {
  const b = new BenchTop();
  const reset = b.plug(resetControl, { power: b.powerLines });
  reset.out(0, 0x02);
  expect([reset.in(0), b.power]).toEqual([2, []]);
  reset.out(0, 0x06);
  reset.out(0, 0x06);
  expect(b.power).toEqual(['reset: reset control register 0xcf9']);
});

test('the absent keyboard controller floats, and its pulse commands reset when bit 0 is low', () => {
  const b = new BenchTop();
  const keyboard = b.plug(keyboardReset, { power: b.powerLines });
  for (const command of [0xaa, 0xd1, 0xff, 0xf1]) keyboard.out(0, command, 1);
  keyboard.out(0, 0xfe);
  expect([keyboard.in(0), keyboard.in(0, 1), b.power]).toEqual([0xff, 0xff, []]);
  keyboard.out(0, 0xfe, 1);
  expect(b.power).toEqual(['reset: keyboard controller command 0xfe']);
});

test('port 0x92 keeps A20 open and resets on the rising edge of bit 0', () => {
  const b = new BenchTop();
  const port = b.plug(port92, { power: b.powerLines });
  port.out(0, 0);
  expect([port.in(0), b.power]).toEqual([2, []]);
  port.out(0, 1);
  port.out(0, 1);
  expect(b.power).toEqual(['reset: port 0x92']);
});

test('port 0x80 keeps the last code', () => {
  const post = new BenchTop().plug(postPort, {});
  post.out(0, 0x3c);
  post.out(0, 1, 1);
  expect([post.in(0), post.in(0, 1), post.face.lastCode()]).toEqual([0x3c, 0xff, 0x3c]);
});
