// Tests of the serial port against the PC16550D datasheet.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { uart16550 } from './uart16550.ts';

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH] = [0, 1, 2, 3, 4, 5, 6, 7];
const OUT2 = 8;

function bench() {
  const bench = new BenchTop();
  const sent: number[] = [];
  const { irq, clock } = bench;
  const uart = bench.plug(uart16550, { irq, clock, transmit: (byte) => sent.push(byte) });
  uart.out(LCR!, 3);
  uart.out(MCR!, OUT2);
  return { bench, irq, uart, sent };
}

test('registers read back as the existence tests of drivers expect', () => {
  const { uart } = bench();
  uart.out(SCRATCH!, 0xa5);
  uart.out(IER!, 0xff);
  uart.out(MCR!, 0xff);
  expect([uart.in(SCRATCH!), uart.in(IER!), uart.in(MCR!), uart.in(LSR!)]).toEqual([
    0xa5, 0x0f, 0x1f, 0x60,
  ]);
  uart.out(LCR!, 0x83);
  uart.out(DATA!, 0x34);
  uart.out(IER!, 0x12);
  expect([uart.in(DATA!), uart.in(IER!)]).toEqual([0x34, 0x12]);
  uart.out(LCR!, 3);
  expect(uart.in(IER!)).toBe(0x0f);
});

test('the identification register shows FIFOs only while they are enabled', () => {
  const { uart } = bench();
  expect(uart.in(IIR!)).toBe(0x01);
  uart.out(IIR!, 1);
  expect(uart.in(IIR!)).toBe(0xc1);
  uart.out(IIR!, 0);
  expect(uart.in(IIR!)).toBe(0x01);
});

test('loopback wires modem controls to modem status', () => {
  const { uart } = bench();
  uart.out(MCR!, 0x10 | 0x0a);
  expect(uart.in(MSR!) & 0xf0).toBe(0x90);
  uart.out(MCR!, 0x10 | 0x05);
  expect(uart.in(MSR!) & 0xf0).toBe(0x60);
});

test('the ring indicator reports its trailing edge only', () => {
  const { uart } = bench();
  uart.out(MCR!, 0x10);
  uart.in(MSR!);
  uart.out(MCR!, 0x14);
  expect(uart.in(MSR!) & 0x0f).toBe(0);
  uart.out(MCR!, 0x10);
  expect(uart.in(MSR!) & 0x0f).toBe(0x04);
  expect(uart.in(MSR!) & 0x0f).toBe(0);
});

test('enabling the transmitter interrupt raises it, and reading the identification ends it', () => {
  const { uart, irq } = bench();
  uart.out(IER!, 2);
  expect(irq.level).toBe(true);
  expect(uart.in(IIR!)).toBe(0x02);
  expect(irq.level).toBe(false);
  expect(uart.in(IIR!)).toBe(0x01);
});

test('each byte sent is an edge of the transmitter interrupt', () => {
  const { uart, irq, sent } = bench();
  uart.out(IER!, 2);
  for (const byte of [0x68, 0x69]) uart.out(DATA!, byte);
  expect(sent).toEqual([0x68, 0x69]);
  expect(irq.rises).toBe(3);
});

test('a receiver interrupt hides the transmitter one, which survives reading the identification', () => {
  const { uart } = bench();
  uart.out(IER!, 3);
  uart.face.receive([0x41]);
  expect(uart.in(IIR!)).toBe(0x04);
  expect(uart.in(DATA!)).toBe(0x41);
  expect(uart.in(IIR!)).toBe(0x02);
});

test('without OUT2 no interrupt reaches the bus, though the chip identifies it', () => {
  const { uart, irq } = bench();
  uart.out(MCR!, 0);
  uart.out(IER!, 1);
  uart.face.receive([1]);
  expect(irq.level).toBe(false);
  expect(uart.in(IIR!)).toBe(0x04);
});

test('below the trigger level the FIFO interrupts after four character times', () => {
  const { uart, bench: b } = bench();
  uart.out(LCR!, 0x83);
  uart.out(DATA!, 1); // 115200 baud: a character of 10 bits takes 86.8 us.
  uart.out(IER!, 0);
  uart.out(LCR!, 3);
  uart.out(IIR!, 0x81); // trigger at 8
  uart.out(IER!, 1);
  uart.face.receive([1, 2, 3]);
  expect(uart.in(IIR!)).toBe(0xc1);
  b.pass(347_222);
  expect(uart.in(IIR!)).toBe(0xc1);
  b.pass(1);
  expect(uart.in(IIR!)).toBe(0xcc);
  uart.in(DATA!);
  expect(uart.in(IIR!)).toBe(0xc1);
  b.pass(350_000);
  expect(uart.in(IIR!)).toBe(0xcc);
  uart.face.receive([4, 5, 6, 7, 8, 9]);
  expect(uart.in(IIR!)).toBe(0xc4);
});

test('input waits on the wire for room, in order, and what does not fit is the sender’s', () => {
  const { uart } = bench();
  uart.out(IIR!, 1);
  const bytes = Array.from({ length: 5000 }, (_, i) => i & 0xff);
  expect(uart.face.receive(bytes)).toBe(4096);
  expect(uart.face.room()).toBe(16); // Sixteen are in the FIFO already.
  const got: number[] = [];
  while ((uart.in(LSR!) & 1) !== 0) got.push(uart.in(DATA!));
  expect(got).toEqual(bytes.slice(0, 4096));
});

test('an overrun in loopback is shown once; the FIFO keeps what it has', () => {
  const { uart } = bench();
  uart.out(IIR!, 1);
  uart.out(MCR!, 0x10);
  for (let i = 0; i < 17; i++) uart.out(DATA!, i);
  expect(uart.in(LSR!)).toBe(0x63);
  expect(uart.in(LSR!)).toBe(0x61);
  expect(uart.in(DATA!)).toBe(0);
});

test('without the FIFO an overrun replaces the unread character', () => {
  const { uart } = bench();
  uart.out(MCR!, 0x10);
  uart.out(DATA!, 1);
  uart.out(DATA!, 2);
  expect(uart.in(LSR!) & 2).toBe(2);
  expect(uart.in(DATA!)).toBe(2);
});

test('a break is a line status interrupt, ended by reading the line status', () => {
  const { uart, irq } = bench();
  uart.out(IIR!, 1);
  uart.out(IER!, 4);
  uart.face.receiveBreak();
  expect(uart.in(IIR!)).toBe(0xc6);
  expect(uart.in(LSR!)).toBe(0xf1);
  expect(irq.level).toBe(false);
  expect(uart.in(LSR!)).toBe(0x61);
});

test('resetting the receive FIFO drops what it held', () => {
  const { uart } = bench();
  uart.out(IIR!, 1);
  uart.face.receive([1, 2, 3]);
  uart.out(IIR!, 3);
  expect(uart.in(LSR!)).toBe(0x60);
});
