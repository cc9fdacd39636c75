// Tests of the MMIO transport against virtio 1.2 section 4.2, and of the status machine that all transports share.

import { expect, test } from 'vitest';
import { RingDriver } from '../testing/ring-driver.ts';
import { VirtioBench } from '../testing/virtio-bench.ts';
import { virtioRng } from './rng.ts';
import { MMIO } from './transport-mmio.ts';

const bench = () => new VirtioBench(virtioRng, { seed: 1 });

test('the identification registers are those of version 2', () => {
  const dut = bench();
  expect([MMIO.magic, MMIO.version, MMIO.deviceId].map((r) => dut.read(r))).toEqual([
    0x74726976, 2, 4,
  ]);
});

test('features are read a dword at a time, and VERSION_1 is among them', () => {
  const dut = bench();
  const words = [0, 1, 2].map((word) => {
    dut.write(MMIO.deviceFeaturesSel, word);
    return dut.read(MMIO.deviceFeatures);
  });
  expect(words).toEqual([0x30000000, 1, 0]);
});

test('FEATURES_OK stays off when the driver takes what is not offered, or goes without VERSION_1', () => {
  const dut = bench();
  expect(dut.negotiate([])).toBe(0xb);
  expect(dut.negotiate([5])).toBe(3);
  dut.write(MMIO.status, 0);
  dut.write(MMIO.status, 0xb);
  expect(dut.read(MMIO.status)).toBe(3);
});

test('features are settled once FEATURES_OK is set', () => {
  const dut = bench();
  dut.negotiate([]);
  dut.write(MMIO.driverFeaturesSel, 0);
  dut.write(MMIO.driverFeatures, 0);
  expect(dut.device.state.core.driverFeatures[0]).toBe(1 << 28);
});

test('DRIVER_OK without agreed features needs a reset, and says so', () => {
  const dut = bench();
  dut.write(MMIO.status, 3);
  dut.write(MMIO.status, 7);
  expect(dut.needsReset()).toBe(true);
  expect(dut.log).toEqual([expect.stringMatching(/^dut: the driver sets DRIVER_OK without/)]);
});

test('a queue that is not there has no entries and takes nothing', () => {
  const dut = bench();
  dut.negotiate([]);
  dut.write(MMIO.queueSel, 1);
  expect(dut.read(MMIO.queueNumMax)).toBe(0);
  dut.write(MMIO.queueNum, 4);
  dut.write(MMIO.queueReady, 1);
  dut.write(MMIO.queueNotify, 1);
  expect([dut.read(MMIO.queueReady), dut.needsReset()]).toEqual([0, false]);
});

test('a request is answered with an interrupt, which an acknowledgement takes back', () => {
  const dut = bench();
  dut.start([]);
  dut.rings[0]!.submit([{ gpa: 0, bytes: 8, write: true }]);
  dut.notify(0);
  expect(dut.top.irq.level).toBe(false);
  dut.top.pass(10_000);
  expect([dut.top.irq.level, dut.read(MMIO.interruptStatus)]).toEqual([true, 1]);
  expect([dut.acknowledge(), dut.top.irq.level, dut.read(MMIO.interruptStatus)]).toEqual([
    1,
    false,
    0,
  ]);
});

test('buffers that were there before DRIVER_OK are used after it', () => {
  const dut = bench();
  dut.negotiate([]);
  const ring = dut.addRing(0, 8);
  ring.submit([{ gpa: 0, bytes: 8, write: true }]);
  dut.notify(0);
  dut.top.pass(10_000);
  expect(ring.used()).toEqual([]);
  dut.write(MMIO.status, 0xf);
  dut.top.pass(10_000);
  expect(ring.used()).toHaveLength(1);
});

test('a broken ring stops the device: it needs a reset, interrupts once, and answers nothing more', () => {
  const dut = bench();
  dut.start([]);
  dut.rings[0]!.publish(0x1234);
  dut.notify(0);
  expect([dut.needsReset(), dut.acknowledge()]).toEqual([true, 2]);
  dut.notify(0);
  dut.top.pass(1e6);
  expect([dut.acknowledge(), dut.log.length]).toEqual([0, 1]);
  expect(dut.log[0]).toMatch(/dut: queue 0 has a chain at descriptor 4660/);
  dut.start([]);
  dut.rings[0]!.submit([{ gpa: 0, bytes: 8, write: true }]);
  dut.notify(0);
  dut.top.pass(10_000);
  expect([dut.needsReset(), dut.rings[0]!.used().length]).toEqual([false, 1]);
});

test('a reset forgets requests, interrupts and queues', () => {
  const dut = bench();
  dut.start([]);
  const ring = dut.rings[0]!;
  for (let i = 0; i < 4; i++) ring.submit([{ gpa: 0, bytes: 8, write: true }]);
  dut.notify(0);
  dut.top.pass(1_100);
  dut.write(MMIO.status, 0);
  const before = ring.used().length;
  dut.top.pass(1e6);
  dut.write(MMIO.queueSel, 0);
  expect([before, ring.used().length, dut.top.irq.level]).toEqual([1, 0, false]);
  expect([MMIO.status, MMIO.queueReady, MMIO.interruptStatus].map((r) => dut.read(r))).toEqual([
    0, 0, 0,
  ]);
});

test('complaints end after a while, however often a driver fails', () => {
  const dut = bench();
  for (let i = 0; i < 100; i++) {
    dut.start([]);
    dut.rings[0]!.publish(0x1234);
    dut.notify(0);
  }
  expect(dut.log).toHaveLength(16);
});

test('a ready queue keeps its addresses and size', () => {
  const dut = bench();
  dut.start([], { size: 4 });
  dut.write(MMIO.queueSel, 0);
  dut.write(MMIO.queueDesc, 0x4000);
  dut.write(MMIO.queueNum, 8);
  const { size, areas } = dut.device.state.core.queues[0]!;
  expect([size, areas[0]]).toEqual([4, new RingDriver(dut.ram, areas[0]!, 4).desc]);
  expect(areas[0]).not.toBe(0x4000);
});
