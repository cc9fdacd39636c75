// Tests of the keyboard controller: what drivers probe, the keyboard's answers, translation, reset.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { i8042 } from './i8042.ts';

function build() {
  const bench = new BenchTop();
  const device = bench.plug(i8042, { irq: bench.irq, power: bench.powerLines });
  const command = (value: number) => device.out(0, value, 1);
  const data = (value: number) => device.out(0, value);
  const status = () => device.in(0, 1);
  /** Everything that comes out. */
  const drain = () => {
    const bytes: number[] = [];
    while ((status() & 1) !== 0) bytes.push(device.in(0));
    return bytes;
  };
  return { bench, device, command, data, status, drain };
}

test('self test, line test and the command byte answer as an AT controller does', () => {
  const { command, data, drain } = build();
  for (const [value, answer] of [
    [0xaa, 0x55],
    [0xab, 0x00],
    [0x20, 0x45],
    [0xc0, 0xb0],
  ] as const) {
    command(value);
    expect(drain()).toEqual([answer]);
  }
  command(0x60);
  data(0x34);
  command(0x20);
  expect(drain()).toEqual([0x34]);
});

test('the keyboard identifies itself, translated and not', () => {
  const { command, data, drain } = build();
  data(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x41]);
  command(0x60);
  data(0x04);
  data(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x83]);
});

test('reset, LEDs, rate, scan set and echo are acknowledged byte by byte', () => {
  const { data, drain } = build();
  const say = (...bytes: readonly number[]) => {
    for (const byte of bytes) data(byte);
    return drain();
  };
  expect(say(0xff)).toEqual([0xfa, 0xaa]);
  expect(say(0xed, 0x07)).toEqual([0xfa, 0xfa]);
  expect(say(0xf3, 0x20)).toEqual([0xfa, 0xfa]);
  expect(say(0xf0, 0x02)).toEqual([0xfa, 0xfa]);
  expect(say(0xee)).toEqual([0xee]);
  expect(say(0x01)).toEqual([0xfe]);
});

test('keys arrive translated to set 1, each byte with an edge of its own', () => {
  const { bench, device, drain, data } = build();
  device.face.press([0x1c, 0xf0, 0x1c]); // A pressed, A released.
  expect([bench.irq.level, bench.irq.rises]).toEqual([true, 1]);
  expect(drain()).toEqual([0x1e, 0x9e]);
  expect([bench.irq.level, bench.irq.rises]).toEqual([false, 2]);
  data(0xf5);
  drain();
  device.face.press([0x1c]);
  expect(drain()).toEqual([]);
});

test('a disabled interface keeps keys until it is enabled; a burst ends in the overrun code', () => {
  const { device, command, drain } = build();
  command(0xad);
  device.face.press(new Array(40).fill(0x1c));
  expect(drain()).toEqual([]);
  command(0xae);
  expect(drain()).toEqual([...new Array(15).fill(0x1e), 0xff]);
});

test('the interrupt follows the command byte; output buffer bytes can be written back', () => {
  const { bench, command, data, drain } = build();
  command(0x60);
  data(0x44);
  command(0xd2);
  data(0x77);
  expect([bench.irq.level, drain()]).toEqual([false, [0x77]]);
});

test('three ways lead to a reset: the pulse, the output port; and A20 is remembered', () => {
  const { bench, command, data, drain } = build();
  command(0xd1);
  data(0xdf);
  command(0xd0);
  expect(drain()[0]! & 2).toBe(2);
  command(0xff);
  expect(bench.power).toEqual([]);
  command(0xfe);
  command(0xd1);
  data(0xde);
  expect(bench.power).toEqual([
    'reset: keyboard controller command 0xfe',
    'reset: keyboard controller output port',
  ]);
});
