// Tests of the real-time clock against the MC146818A datasheet.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { civilFromDays, dayOfWeek, daysFromCivil } from './calendar.ts';
import { rtcCmos } from './rtc-cmos.ts';

const SECOND = 1e9;
/** Saturday 2007-03-31 23:59:58 UTC. */
const EPOCH = Date.UTC(2007, 2, 31, 23, 59, 58) / 1000;

function bench(epoch = EPOCH, ram = 512 << 20) {
  const bench = new BenchTop();
  const rtc = bench.plug(rtcCmos, { irq: bench.irq, clock: bench.clock });
  rtc.face.start(epoch, ram);
  const read = (index: number) => {
    rtc.out(0, index);
    return rtc.in(1);
  };
  const write = (index: number, value: number) => {
    rtc.out(0, index);
    rtc.out(1, value);
  };
  const date = () =>
    [0x32, 9, 8, 7, 6, 4, 2, 0].map((i) => read(i).toString(16).padStart(2, '0')).join(' ');
  return { bench, irq: bench.irq, rtc, read, write, date };
}

test('it starts at the epoch in BCD and 24 hours, and carries into the next month', () => {
  const { bench: b, date } = bench();
  expect(date()).toBe('20 07 03 31 07 23 59 58');
  b.pass(SECOND - 1);
  expect(date()).toBe('20 07 03 31 07 23 59 58');
  b.pass(1);
  expect(date()).toBe('20 07 03 31 07 23 59 59');
  b.pass(SECOND);
  expect(date()).toBe('20 07 04 01 01 00 00 00');
});

test('it carries into the next century over any jump', () => {
  const { bench: b, date } = bench(Date.UTC(1999, 11, 31) / 1000);
  b.pass(2 * 86400 * SECOND);
  expect(date()).toBe('20 00 01 02 01 00 00 00');
});

test('twelve-hour mode marks the afternoon, and midnight is 12', () => {
  const { bench: b, read, write } = bench();
  write(11, 0x80);
  for (const [index, value] of [
    [0, 0x59],
    [2, 0x59],
    [4, 0x91],
  ] as const)
    write(index, value);
  write(11, 0x00);
  b.pass(SECOND);
  expect(read(4)).toBe(0x12);
  b.pass(12 * 3600 * SECOND);
  expect(read(4)).toBe(0x92);
});

test('binary mode counts in binary', () => {
  const { bench: b, read, write } = bench();
  write(11, 0x86);
  write(0, 59);
  write(2, 9);
  write(11, 0x06);
  b.pass(SECOND);
  expect([read(0), read(2)]).toEqual([0, 10]);
});

test('SET stops the updates, and clears the update interrupt enable', () => {
  const { bench: b, read, write } = bench();
  write(11, 0x92);
  expect(read(11)).toBe(0x82);
  b.pass(10 * SECOND);
  expect(read(0)).toBe(0x58);
  expect(read(12) & 0x30).toBe(0);
});

test('the update flag of register A is up for 2.228 ms before the seconds change', () => {
  const { bench: b, read } = bench();
  b.until(SECOND - 2_228_001);
  expect(read(10)).toBe(0x26);
  b.pass(1);
  expect(read(10)).toBe(0xa6);
  b.until(SECOND);
  expect(read(10)).toBe(0x26);
});

test('the first update after a divider reset comes half a second later', () => {
  const { bench: b, read, write } = bench();
  write(10, 0x76);
  b.pass(10 * SECOND);
  expect(read(0)).toBe(0x58);
  write(10, 0x26);
  b.pass(SECOND / 2 - 1);
  expect(read(0)).toBe(0x58);
  b.pass(1);
  expect(read(0)).toBe(0x59);
});

test('the update interrupt comes with each second and stays until register C is read', () => {
  const { bench: b, irq, read, write } = bench(EPOCH - 60);
  write(11, 0x12);
  b.pass(3 * SECOND);
  expect([irq.level, irq.rises]).toEqual([true, 1]);
  expect(read(12)).toBe(0xd0); // With the periodic flag, which nobody enabled.
  expect([irq.level, read(12)]).toEqual([false, 0]);
  b.pass(SECOND);
  expect(irq.rises).toBe(2);
});

test('the alarm matches its time, and don’t-care bytes match any', () => {
  const { bench: b, irq, read, write } = bench();
  write(1, 0x05);
  write(3, 0xc0);
  write(5, 0xff);
  write(11, 0x22);
  b.pass(7 * SECOND - 1);
  expect(irq.level).toBe(false);
  b.pass(1);
  expect(irq.level).toBe(true);
  expect(read(12) & 0xa0).toBe(0xa0);
  b.pass(60 * SECOND);
  expect(irq.rises).toBe(2);
});

test('an alarm that nobody waits for is still flagged', () => {
  const { bench: b, read, write } = bench();
  write(1, 0x30);
  write(3, 0x00);
  write(5, 0x00);
  b.pass(31 * SECOND);
  expect(read(12) & 0x20).toBe(0);
  b.pass(3600 * SECOND);
  expect(read(12) & 0x20).toBe(0x20);
});

test('the periodic interrupt runs at its rate without drift', () => {
  const { bench: b, irq, read, write } = bench();
  write(11, 0x42);
  irq.rises = 0;
  for (let i = 0; i < 10_000; i++) {
    b.until(b.clock.nextDeadline());
    read(12);
  }
  expect(irq.rises).toBe(10_000);
  expect(b.clock.now()).toBe(Math.ceil((10_000 * 1e9) / 1024));
});

test('registers C and D are read-only, the index is write-only, the rest is memory', () => {
  const { rtc, read, write } = bench();
  write(13, 0);
  write(0x40, 0x5a);
  expect([read(13), read(0x40), rtc.in(0)]).toEqual([0x80, 0x5a, 0xff]);
  rtc.out(0, 0x80 | 0x40);
  expect([rtc.in(1), rtc.face.nmiMasked()]).toEqual([0x5a, true]);
});

test('memory sizes are where a BIOS leaves them, with their checksum', () => {
  const { read } = bench(EPOCH, 48 << 20);
  expect(read(0x15) | (read(0x16) << 8)).toBe(640);
  expect(read(0x17) | (read(0x18) << 8)).toBe(47 * 1024);
  expect(read(0x34) | (read(0x35) << 8)).toBe((32 << 20) / 65536);
  let sum = 0;
  for (let i = 0x10; i <= 0x2d; i++) sum += read(i);
  expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
});

test('nonsense dates are carried on without a crash', () => {
  const { bench: b, read, write } = bench();
  for (let index = 0; index < 10; index++) write(index, 0xff);
  b.pass(40 * 86400 * SECOND);
  expect(read(8)).toBeGreaterThan(0);
});

test('the calendar agrees with the host’s for three thousand years', () => {
  fc.assert(
    fc.property(fc.integer({ min: -500_000, max: 500_000 }), (days) => {
      const date = new Date(days * 86_400_000);
      const civil = civilFromDays(days);
      expect(civil).toEqual({
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
      });
      expect(daysFromCivil(civil)).toBe(days);
      expect(dayOfWeek(days)).toBe(date.getUTCDay() + 1);
    }),
  );
});
