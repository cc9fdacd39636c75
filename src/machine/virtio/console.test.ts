// Tests of the console device against virtio 1.2 section 5.3.

import { expect, test } from 'vitest';
import { VirtioBench } from '../testing/virtio-bench.ts';
import { virtioConsole } from './console.ts';
import { MMIO } from './transport-mmio.ts';

function bench() {
  const out: number[] = [];
  const dut = new VirtioBench(virtioConsole, { transmit: (byte: number) => out.push(byte) });
  return { dut, text: () => String.fromCharCode(...out) };
}

const codes = (text: string) => [...text].map((c) => c.charCodeAt(0));

test('output buffers reach the sink in order', () => {
  const { dut, text } = bench();
  dut.start([]);
  dut.put(0x100, codes('hello, world\n'));
  dut.rings[1]!.submit([
    { gpa: 0x100, bytes: 7 },
    { gpa: 0x107, bytes: 6 },
  ]);
  dut.rings[1]!.submit([{ gpa: 0x100, bytes: 5 }]);
  dut.notify(1);
  dut.top.pass(1e5);
  expect(text()).toBe('hello, world\nhello');
  expect(dut.rings[1]!.used()).toHaveLength(2);
});

test('input waits for buffers and fills them', () => {
  const { dut } = bench();
  dut.start([]);
  expect(dut.device.face.receive(codes('abcdef'))).toBe(6);
  dut.rings[0]!.submit([{ gpa: 0x100, bytes: 4, write: true }]);
  dut.rings[0]!.submit([{ gpa: 0x200, bytes: 4, write: true }]);
  dut.notify(0);
  dut.top.pass(1e5);
  expect(dut.rings[0]!.used().map((entry) => entry.written)).toEqual([4, 2]);
  expect(dut.text(0x100, 4) + dut.text(0x200, 2)).toBe('abcdef');
});

test('input with buffers in place arrives at once, with an interrupt', () => {
  const { dut } = bench();
  dut.start([]);
  dut.rings[0]!.submit([{ gpa: 0x100, bytes: 64, write: true }]);
  dut.notify(0);
  dut.device.face.receive(codes('x'));
  expect([dut.top.irq.level, dut.rings[0]!.used()[0]?.written]).toEqual([true, 1]);
});

test('the input that waits is bounded, and the sender keeps the rest', () => {
  const { dut } = bench();
  dut.start([]);
  expect(dut.device.face.receive(new Uint8Array(5000))).toBe(4096);
  expect([dut.device.face.room(), dut.device.face.receive([1])]).toEqual([0, 0]);
});

test('the emergency register writes in any state', () => {
  const { dut, text } = bench();
  expect(dut.read(MMIO.deviceFeatures) & 4).toBe(4);
  dut.write(MMIO.config + 8, '!'.charCodeAt(0));
  expect(text()).toBe('!');
});

test('an output buffer longer than any driver sends breaks the device', () => {
  const { dut, text } = bench();
  dut.start([]);
  dut.rings[1]!.submitIndirect(
    0x100,
    Array.from({ length: 3 }, () => ({ gpa: 0, bytes: 0x80000 })),
  );
  dut.notify(1);
  dut.top.pass(1e9);
  expect([dut.needsReset(), text()]).toEqual([true, '']);
});
