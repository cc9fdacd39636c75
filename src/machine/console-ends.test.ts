// Which end of the machine the run's console types on.

import { expect, test } from 'vitest';
import { ConsoleEnds } from './console-ends.ts';

const end = { receive: () => {}, room: () => 1 };

test('typed bytes go to the end that spoke last, and before that to the interface or the serial port', () => {
  const consoles = new ConsoleEnds();
  const output: number[] = [];
  const transmit = (byte: number) => output.push(byte);
  consoles.connect('virtio', end);
  consoles.connect('serial', end);
  expect(consoles.target()).toBe('serial');
  consoles.connect('interface', end);
  expect(consoles.target()).toBe('interface');
  consoles.speaker('virtio', transmit)(0x41);
  expect([consoles.target(), output]).toEqual(['virtio', [0x41]]);
  consoles.speaker('serial', transmit)(0x42);
  expect(consoles.target()).toBe('serial');
});
