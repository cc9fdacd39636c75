// Tests of the machine's clock, its timers and the exact oscillators.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Clock, NEVER } from './clock.ts';
import { nanosToTicks, PIT_HZ, PM_TIMER_HZ, RTC_HZ, ticksToNanos, UART_HZ } from './frequency.ts';
import { SteppedCpu } from './testing/stepped-cpu.ts';

test('time is retired instructions plus what halts skipped', () => {
  const cpu = new SteppedCpu();
  const totals: number[] = [];
  const clock = new Clock(cpu, (total) => totals.push(total));
  cpu.count = 100;
  clock.skipTo(1000);
  cpu.count = 150;
  expect(clock.now()).toBe(1050);
  clock.skipTo(500);
  expect(clock.now()).toBe(1050);
  clock.skipTo(1060);
  expect(totals).toEqual([900, 910]);
});

test('timers run by deadline, and in the order of registration when they fall due together', () => {
  const cpu = new SteppedCpu();
  const clock = new Clock(cpu);
  const ran: string[] = [];
  const a = clock.timer('a', () => ran.push('a'));
  const b = clock.timer('b', () => ran.push('b'));
  const c = clock.timer('c', () => ran.push('c'));
  c.set(50);
  b.set(60);
  a.set(60);
  cpu.count = 60;
  expect(clock.runDue(10)).toBe(3);
  expect(ran).toEqual(['c', 'a', 'b']);
  expect(clock.nextDeadline()).toBe(NEVER);
});

test('whatever was set, moved and cancelled before: the earliest runs first, of equal ones the first registered', () => {
  const names = ['a', 'b', 'c', 'd'];
  const changes = fc.array(fc.tuple(fc.nat(3), fc.constantFrom(1, 2, 3, NEVER)), { minLength: 1 });
  fc.assert(
    fc.property(changes, (list) => {
      const cpu = new SteppedCpu();
      const clock = new Clock(cpu);
      const ran: string[] = [];
      const timers = names.map((name) => clock.timer(name, () => ran.push(name)));
      for (const [slot, deadline] of list) timers[slot]!.set(deadline);
      const set = timers.filter((timer) => timer.deadline() !== NEVER);
      const expected = set.toSorted((x, y) => x.deadline() - y.deadline()).map(({ name }) => name);
      cpu.count = 3;
      expect(clock.runDue(10)).toBe(expected.length);
      expect(ran).toEqual(expected);
    }),
  );
});

test('a cancelled or moved timer does not run at its old deadline', () => {
  const cpu = new SteppedCpu();
  const clock = new Clock(cpu);
  let ran = 0;
  const timer = clock.timer('t', () => ran++);
  timer.set(10);
  timer.cancel();
  cpu.count = 20;
  clock.runDue(10);
  timer.set(30);
  timer.set(40);
  cpu.count = 35;
  clock.runDue(10);
  expect(ran).toBe(0);
  expect(clock.nextDeadline()).toBe(40);
});

test('a timer set inside a slice to fall due before its end makes the CPU leave', () => {
  const cpu = new SteppedCpu();
  const clock = new Clock(cpu);
  const timer = clock.timer('t', () => {});
  clock.beginSlice(1000);
  timer.set(2000);
  expect(cpu.run(1).kind).toBe('budget');
  timer.set(500);
  expect([cpu.run(1000).kind, cpu.count]).toEqual(['due', 500]);
});

test('of two timers set inside a slice, both make the CPU leave at their time, though the slice goes on between', () => {
  const cpu = new SteppedCpu();
  const clock = new Clock(cpu);
  const ran: string[] = [];
  const [a, b] = ['a', 'b'].map((name) =>
    clock.timer(name, () => ran.push(`${name} ${cpu.count}`)),
  );
  clock.beginSlice(1000);
  b!.set(70);
  a!.set(50);
  for (let n = 0; n < 2; n++) {
    expect(cpu.run(500).kind).toBe('due');
    clock.runDue(10);
  }
  expect(ran).toEqual(['a 50', 'b 70']);
});

test('runDue stops at its limit when a timer sets itself into the past', () => {
  const clock = new Clock(new SteppedCpu());
  const timer = clock.timer('t', () => timer.set(0));
  timer.set(0);
  expect(clock.runDue(7)).toBe(7);
});

test('a restored clock has the same time and deadlines', () => {
  const cpu = new SteppedCpu();
  const clock = new Clock(cpu);
  const timer = clock.timer('t', () => {});
  timer.set(777);
  clock.skipTo(100);
  const saved = clock.save();
  timer.set(5000);
  clock.skipTo(3000);
  clock.restore(saved);
  expect([clock.now(), clock.nextDeadline(), timer.deadline()]).toEqual([100, 777, 777]);
});

test('ticks are exact against big integers for every oscillator, up to fifty days', () => {
  const frequency = fc.constantFrom(PIT_HZ, PM_TIMER_HZ, RTC_HZ, UART_HZ);
  fc.assert(
    fc.property(frequency, fc.integer({ min: 0, max: 4.3e15 }), (hz, nanos) => {
      const ticks = nanosToTicks(hz, nanos);
      expect(BigInt(ticks)).toBe((BigInt(nanos) * BigInt(hz)) / 1_000_000_000n);
      const start = ticksToNanos(hz, ticks);
      expect(start).toBeLessThanOrEqual(nanos);
      expect(nanosToTicks(hz, start)).toBe(ticks);
      if (start > 0) expect(nanosToTicks(hz, start - 1)).toBe(ticks - 1);
    }),
  );
});
