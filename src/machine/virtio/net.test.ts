// Tests of the network card and of the link between two cards, against virtio 1.2 section 5.1.

import { expect, test } from 'vitest';
import { BenchTop } from '../testing/bench-top.ts';
import { VirtioBench } from '../testing/virtio-bench.ts';
import { joinNics, VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, virtioNet } from './net.ts';
import { MMIO } from './transport-mmio.ts';

const TX = 0x1000;
const RX = 0x10000;
const MAC = [0x52, 0x54, 0, 0, 0, 1];

function pair() {
  const top = new BenchTop();
  const a = new VirtioBench(virtioNet, { mac: MAC }, { id: 'a', top });
  const b = new VirtioBench(virtioNet, { mac: [...MAC.slice(0, 5), 2] }, { id: 'b', top });
  joinNics(a.device.face, b.device.face);
  return { top, a, b };
}

type Nic = ReturnType<typeof pair>['a'];

function send(nic: Nic, frame: readonly number[], at = TX): void {
  nic.put(at, [...new Array(12).fill(0), ...frame]);
  nic.rings[1]!.submit([
    { gpa: at, bytes: 12 },
    { gpa: at + 12, bytes: frame.length },
  ]);
  nic.notify(1);
}

function offer(nic: Nic, bytes: number, count: number): void {
  for (let i = 0; i < count; i++) {
    nic.rings[0]!.submit([{ gpa: RX + 0x1000 * i, bytes, write: true }]);
  }
  nic.notify(0);
}

const FRAME = Array.from({ length: 60 }, (_, i) => i + 1);

test('the config space has the address and an upright link', () => {
  const { b } = pair();
  expect([b.read(MMIO.config), b.read(MMIO.config + 4)]).toEqual([0x00005452, 0x00010200]);
});

test('a frame sent by one card reaches the other after the latency of wire and link', () => {
  const { top, a, b } = pair();
  for (const nic of [a, b]) nic.start([VIRTIO_NET_F_MAC]);
  offer(b, 1526, 4);
  send(a, FRAME);
  top.pass(1_000 + 8 * 72 - 1);
  expect(a.rings[1]!.used()).toEqual([]);
  top.pass(1);
  expect(a.rings[1]!.used()).toEqual([{ head: 0, written: 0 }]);
  top.pass(9_999);
  expect(b.rings[0]!.used()).toEqual([]);
  top.pass(1);
  expect(b.rings[0]!.used()).toEqual([{ head: 0, written: 72 }]);
  const header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
  expect([...b.ram.read(RX, 72)!]).toEqual([...header, ...FRAME]);
  expect(a.rings[0]!.used()).toEqual([]);
});

test('frames arrive in order and wait for buffers', () => {
  const { top, a, b } = pair();
  for (const nic of [a, b]) nic.start([]);
  for (let i = 0; i < 5; i++) send(a, [...FRAME, i], TX + 0x100 * i);
  top.pass(1e6);
  expect(b.rings[0]!.used()).toEqual([]);
  offer(b, 1526, 3);
  top.pass(1e6);
  expect(b.rings[0]!.used()).toHaveLength(3);
  offer(b, 1526, 3);
  top.pass(1e6);
  expect(b.rings[0]!.used()).toHaveLength(2);
  expect(b.ram.u8(RX + 0x1000 + 72)).toBe(4);
});

test('a long frame is spread over small buffers that may be merged', () => {
  const { top, a, b } = pair();
  a.start([]);
  b.start([VIRTIO_NET_F_MRG_RXBUF]);
  const frame = Array.from({ length: 1000 }, (_, i) => i & 0xff);
  send(a, frame);
  offer(b, 400, 2);
  top.pass(1e6);
  expect(b.rings[0]!.used()).toEqual([]); // Two are too few, and stay untouched.
  b.rings[0]!.submit([{ gpa: RX + 0x2000, bytes: 400, write: true }]);
  b.notify(0);
  top.pass(1e6);
  expect(b.rings[0]!.used().map((entry) => entry.written)).toEqual([400, 400, 212]);
  expect(b.ram.u16(RX + 10)).toBe(3);
  const parts = [
    b.ram.read(RX + 12, 388)!,
    b.ram.read(RX + 0x1000, 400)!,
    b.ram.read(RX + 0x2000, 212)!,
  ];
  expect(parts.flatMap((part) => [...part])).toEqual(frame);
});

test('a frame that no buffer holds is dropped, and the buffer stays', () => {
  const { top, a, b } = pair();
  for (const nic of [a, b]) nic.start([]);
  offer(b, 64, 1);
  send(a, FRAME);
  send(a, FRAME.slice(0, 20), TX + 0x100);
  top.pass(1e6);
  expect(b.rings[0]!.used()).toEqual([{ head: 0, written: 32 }]);
  expect(b.device.face.counters()).toEqual({ sent: 0, received: 1, dropped: 1 });
});

test('without a peer frames are sent to nowhere', () => {
  const nic = new VirtioBench(virtioNet, { mac: MAC });
  nic.start([]);
  send(nic, FRAME);
  nic.top.pass(1e6);
  expect(nic.device.face.counters()).toEqual({ sent: 1, received: 0, dropped: 0 });
});

test('what is no Ethernet frame is dropped', () => {
  const { top, a } = pair();
  a.start([]);
  a.rings[1]!.submit([{ gpa: TX, bytes: 12 }]);
  a.rings[1]!.submit([{ gpa: TX, bytes: 0xf0000 - TX }]);
  a.rings[1]!.submit([{ gpa: TX, bytes: 80, write: true }]);
  a.notify(1);
  top.pass(1e6);
  expect(a.rings[1]!.used()).toHaveLength(3);
  expect(a.device.face.counters()).toEqual({ sent: 0, received: 0, dropped: 3 });
});

test('a peer that is not ready loses frames, and one that reads nothing holds 256 at most', () => {
  const { top, a, b } = pair();
  a.start([]);
  send(a, FRAME);
  top.pass(1e6);
  expect(b.device.face.counters().dropped).toBe(1);
  b.start([]);
  for (let i = 0; i < 300; i++) {
    send(a, FRAME);
    top.pass(1e5);
  }
  expect([b.device.state.device.frames.length, b.device.face.counters().dropped]).toEqual([
    256, 45,
  ]);
});

test('a receive buffer without room for the header breaks the card', () => {
  const { top, a, b } = pair();
  a.start([]);
  b.start([VIRTIO_NET_F_MRG_RXBUF]);
  offer(b, 8, 2);
  send(a, FRAME);
  top.pass(1e6);
  expect(b.needsReset()).toBe(true);
  expect(b.log[0]).toMatch(/^b: a receive buffer has room for 8 bytes/);
});
