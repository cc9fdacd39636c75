// Tests of virtio over PCI against virtio 1.2 section 4.1, on the real PCI bus: modern, legacy, and with messages.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Board } from '../board.ts';
import { MmioBus } from '../bus.ts';
import { PciBus } from '../pci/bus.ts';
import { RamLink } from '../ram-link.ts';
import { SnapshotSlots } from '../snapshot.ts';
import { BenchTop } from '../testing/bench-top.ts';
import { RingDriver, testRam } from '../testing/ring-driver.ts';
import { virtioNet } from './net.ts';
import { LEGACY } from './pci-legacy.ts';
import { COMMON } from './pci-modern.ts';
import { virtioRng } from './rng.ts';
import { virtioPci } from './transport-pci.ts';

const SLOT = 3;
const IO = 0xc000;
const MSIX = 0xe0000000;
const MODERN = 0xe0010000;
const RINGS = 0x8000;

function pciBench({ modernOnly = false, net = false } = {}) {
  const top = new BenchTop();
  const ram = testRam(1 << 20);
  const link = new RamLink();
  link.connect(ram);
  const board = new Board(new MmioBus(), new SnapshotSlots());
  const messages: number[] = [];
  const pirq = [false, false, false, false];
  const bus = new PciBus({
    board,
    ram: link,
    send: (_lo, _hi, data) => messages.push(data),
    setPirq: (n, level) => {
      pirq[n] = level;
    },
  });
  const log: string[] = [];
  const common = { id: 'dut', clock: top.clock, log: (sentence: string) => log.push(sentence) };
  const place = { slot: SLOT };
  if (net) bus.add('dut', virtioPci(virtioNet), place, { ...common, mac: [2, 0, 0, 0, 0, 9] });
  else bus.add('dut', virtioPci(virtioRng, { modernOnly }), place, { ...common, seed: 3 });
  const address = (at: number) => (SLOT << 11) | (at & 0xfc);
  const config = (at: number, bytes = 4) => bus.read(address(at), at & 3, bytes);
  const setConfig = (at: number, value: number, bytes = 4) =>
    bus.write(address(at), at & 3, value, bytes);
  setConfig(0x10, IO);
  setConfig(0x14, MSIX);
  setConfig(0x20, MODERN);
  setConfig(0x04, 7, 2);
  const out = new Uint32Array(2);
  return {
    ...{ top, ram, log, messages, config, setConfig, board },
    pin: () => pirq.some((level) => level),
    in: (port: number, bytes: number) => board.ports.read(IO + port, bytes),
    out: (port: number, bytes: number, value: number) => board.ports.write(IO + port, bytes, value),
    load(gpa: number, bytes: number) {
      board.mmio.read(gpa, bytes, out);
      return out[0]!;
    },
    store: (gpa: number, bytes: number, value: number) => board.mmio.write(gpa, bytes, value, 0),
  };
}

type Dut = ReturnType<typeof pciBench>;

/** The vendor capabilities by cfg_type. */
function capabilities(dut: Dut): Map<number, { at: number; bar: number; offset: number }> {
  const found = new Map<number, { at: number; bar: number; offset: number }>();
  for (let at = dut.config(0x34, 1); at !== 0; at = dut.config(at + 1, 1)) {
    if (dut.config(at, 1) !== 9) continue;
    const bar = dut.config(at + 4, 1);
    found.set(dut.config(at + 3, 1), { at, bar, offset: dut.config(at + 8) });
  }
  return found;
}

test('a transitional device has the old ids and tells its type in the subsystem', () => {
  const dut = pciBench();
  expect([dut.config(0), dut.config(8, 1), dut.config(0x2c)]).toEqual([0x10051af4, 0, 0x00041af4]);
  const modern = pciBench({ modernOnly: true });
  expect([modern.config(0), modern.config(8, 1)]).toEqual([0x10441af4, 1]);
});

test('the capabilities name the five structures, all within BAR 4', () => {
  const found = capabilities(pciBench());
  expect([...found.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
  for (const type of [1, 2, 3, 4]) expect(found.get(type)!.bar).toBe(4);
});

/** A modern driver's initialisation, by the capabilities (3.1.1 and 4.1.5.1). */
function startModern(dut: Dut, { vector = 0xffff } = {}) {
  const found = capabilities(dut);
  const common = MODERN + found.get(1)!.offset;
  dut.store(common + COMMON.status, 1, 0);
  dut.store(common + COMMON.status, 1, 3);
  dut.store(common + COMMON.driverFeatureSelect, 4, 1);
  dut.store(common + COMMON.driverFeature, 4, 1);
  dut.store(common + COMMON.status, 1, 0xb);
  dut.store(common + COMMON.queueSelect, 2, 0);
  dut.store(common + COMMON.queueSize, 2, 4);
  dut.store(common + COMMON.queueVector, 2, vector);
  const ring = new RingDriver(dut.ram, RINGS, 4);
  [ring.desc, ring.driver, ring.device].forEach((gpa, i) => {
    dut.store(common + COMMON.queueDesc + 8 * i, 4, gpa);
    dut.store(common + COMMON.queueDesc + 8 * i + 4, 4, 0);
  });
  const off = dut.load(common + COMMON.queueNotifyOff, 2);
  const multiplier = dut.config(found.get(2)!.at + 16);
  dut.store(common + COMMON.queueEnable, 2, 1);
  dut.store(common + COMMON.status, 1, 0xf);
  const notify = () => dut.store(MODERN + found.get(2)!.offset + off * multiplier, 2, 0);
  return { ring, notify, common, isr: MODERN + found.get(3)!.offset };
}

test('a modern driver is served with the pin, which reading the interrupt status lowers', () => {
  const dut = pciBench();
  const { ring, notify, common, isr } = startModern(dut);
  expect(dut.load(common + COMMON.status, 1)).toBe(0xf);
  ring.submit([{ gpa: 0, bytes: 16, write: true }]);
  notify();
  expect(dut.pin()).toBe(false);
  dut.top.pass(1e5);
  expect([ring.used(), dut.pin()]).toEqual([[{ head: 0, written: 16 }], true]);
  expect([dut.load(isr, 1), dut.pin(), dut.load(isr, 1)]).toEqual([1, false, 0]);
});

test('with MSI-X a queue sends its message and leaves pin and interrupt status alone', () => {
  const dut = pciBench();
  const msix = 0x11;
  let at = dut.config(0x34, 1);
  while (dut.config(at, 1) !== msix) at = dut.config(at + 1, 1);
  dut.setConfig(at + 2, 0x8000, 2);
  [0xfee00000, 0, 0x41, 0].forEach((value, i) => {
    dut.store(MSIX + 16 + 4 * i, 4, value);
  });
  const { ring, notify, common, isr } = startModern(dut, { vector: 1 });
  expect(dut.load(common + COMMON.queueVector, 2)).toBe(1);
  ring.submit([{ gpa: 0, bytes: 16, write: true }]);
  notify();
  dut.top.pass(1e5);
  expect([dut.messages, dut.pin(), dut.load(isr, 1)]).toEqual([[0x41], false, 0]);
});

test('a vector that does not exist reads back as none', () => {
  const dut = pciBench();
  const common = MODERN + capabilities(dut).get(1)!.offset;
  for (const register of [COMMON.configVector, COMMON.queueVector]) {
    dut.store(common + register, 2, 2);
    expect(dut.load(common + register, 2)).toBe(0xffff);
    dut.store(common + register, 2, 1);
    expect(dut.load(common + register, 2)).toBe(1);
  }
});

test('the common registers describe queues, and show none beyond the last', () => {
  const dut = pciBench({ net: true });
  const common = MODERN + capabilities(dut).get(1)!.offset;
  const sizes = [0, 1, 2].map((queue) => {
    dut.store(common + COMMON.queueSelect, 2, queue);
    return [COMMON.queueSize, COMMON.queueNotifyOff].map((r) => dut.load(common + r, 2));
  });
  expect(dut.load(common + COMMON.numQueues, 2)).toBe(2);
  expect(sizes).toEqual([
    [256, 0],
    [256, 1],
    [0, 0],
  ]);
});

test('features are read by dword; the config space by byte', () => {
  const dut = pciBench({ net: true });
  const found = capabilities(dut);
  const common = MODERN + found.get(1)!.offset;
  const words = [0, 1].map((word) => {
    dut.store(common + COMMON.deviceFeatureSelect, 4, word);
    return dut.load(common + COMMON.deviceFeature, 4);
  });
  expect(words).toEqual([0x30018020, 1]);
  const device = MODERN + found.get(4)!.offset;
  expect([0, 1, 2, 3, 4, 5, 6].map((i) => dut.load(device + i, 1))).toEqual([2, 0, 0, 0, 0, 9, 1]);
});

test('the configuration access capability reaches the BAR', () => {
  const dut = pciBench({ net: true });
  const found = capabilities(dut);
  const window = found.get(5)!.at;
  const access = (offset: number, bytes: number) => {
    dut.setConfig(window + 4, 4, 1);
    dut.setConfig(window + 8, offset);
    dut.setConfig(window + 12, bytes);
  };
  access(found.get(4)!.offset + 5, 1);
  expect(dut.config(window + 16, 1)).toBe(9);
  access(found.get(1)!.offset + COMMON.status, 1);
  dut.setConfig(window + 16, 1, 1);
  expect(dut.load(MODERN + found.get(1)!.offset + COMMON.status, 1)).toBe(1);
  access(0xfffffffc, 4);
  expect(dut.config(window + 16)).toBe(0);
});

test('a legacy driver is served through I/O ports and never sees VERSION_1', () => {
  const dut = pciBench();
  expect(dut.in(LEGACY.deviceFeatures, 4)).toBe(0x38000000);
  dut.out(LEGACY.status, 1, 0);
  dut.out(LEGACY.status, 1, 3);
  dut.out(LEGACY.driverFeatures, 4, 0x10000000);
  dut.out(LEGACY.queueSelect, 2, 0);
  expect(dut.in(LEGACY.queueSize, 2)).toBe(8);
  const ring = new RingDriver(dut.ram, RINGS, 8);
  dut.out(LEGACY.queueAddress, 4, RINGS / 4096);
  expect(dut.in(LEGACY.queueAddress, 4)).toBe(RINGS / 4096);
  dut.out(LEGACY.status, 1, 7);
  ring.submitIndirect(0x4000, [{ gpa: 0, bytes: 24, write: true }]);
  dut.out(LEGACY.queueNotify, 2, 0);
  dut.top.pass(1e5);
  expect(ring.used()).toEqual([{ head: 0, written: 24 }]);
  expect([dut.pin(), dut.in(LEGACY.isr, 1), dut.pin()]).toEqual([true, 1, false]);
  dut.out(LEGACY.status, 1, 0);
  expect([dut.in(LEGACY.queueAddress, 4), dut.in(LEGACY.status, 1)]).toEqual([0, 0]);
});

test('the legacy config space moves behind the vectors when messages are enabled', () => {
  const dut = pciBench({ net: true });
  expect(dut.in(0x14 + 5, 1)).toBe(9);
  let at = dut.config(0x34, 1);
  while (dut.config(at, 1) !== 0x11) at = dut.config(at + 1, 1);
  dut.setConfig(at + 2, 0x8000, 2);
  expect(dut.in(0x18 + 5, 1)).toBe(9);
  dut.out(LEGACY.queueVector, 2, 2);
  expect(dut.in(LEGACY.queueVector, 2)).toBe(2);
  dut.out(LEGACY.queueVector, 2, 3);
  expect(dut.in(LEGACY.queueVector, 2)).toBe(0xffff);
});

test('a broken legacy ring stops the device without a status bit that its driver does not know', () => {
  const dut = pciBench();
  dut.out(LEGACY.status, 1, 3);
  dut.out(LEGACY.queueAddress, 4, RINGS / 4096);
  dut.out(LEGACY.status, 1, 7);
  new RingDriver(dut.ram, RINGS, 8).publish(99);
  dut.out(LEGACY.queueNotify, 2, 0);
  expect([dut.in(LEGACY.status, 1), dut.log.length]).toEqual([7, 1]);
});

test('nonsense in ports, BARs and configuration space does no harm', () => {
  const place = fc.constantFrom('io', 'common', 'notify', 'device', 'config', 'msix');
  const value = fc.oneof(
    fc.integer({ min: 0, max: 16 }),
    fc.constantFrom(RINGS, RINGS / 4096, 0xffffffff),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const access = fc.record({
    place,
    offset: fc.integer({ min: 0, max: 0x7f }),
    bytes: fc.constantFrom(1, 2, 4),
    value,
    nanos: fc.constantFrom(0, 0, 10_000),
  });
  const bases = {
    common: MODERN,
    device: MODERN + 0x2000,
    notify: MODERN + 0x3000,
    msix: MSIX,
  } as const;
  fc.assert(
    fc.property(fc.boolean(), fc.array(access, { maxLength: 60 }), (net, accesses) => {
      const dut = pciBench({ net });
      for (const { place, offset, bytes, value, nanos } of accesses) {
        if (place === 'io') {
          dut.out(offset, bytes, value);
          dut.in(offset, bytes);
        } else if (place === 'config') {
          // Whole accesses within a dword, as the bus makes them; the BARs stay where they are.
          const at = 0x40 + offset - (offset % bytes);
          dut.setConfig(at, value, bytes);
          dut.config(at, bytes);
        } else {
          dut.store(bases[place as keyof typeof bases] + offset, bytes, value);
          dut.load(bases[place as keyof typeof bases] + offset, bytes);
        }
        dut.top.pass(nanos);
      }
      dut.top.pass(1e6);
      expect(dut.log.length).toBeLessThanOrEqual(16);
      const { ring, notify } = restart(dut, net);
      if (net) return;
      ring.submit([{ gpa: 0, bytes: 16, write: true }]);
      notify();
      dut.top.pass(1e6);
      expect(ring.used()).toHaveLength(1); // A reset brings it back.
    }),
    { numRuns: 300 },
  );
});

function restart(dut: Dut, net: boolean) {
  dut.store(MODERN + COMMON.status, 1, 0);
  dut.ram.fill(RINGS, 0x2000, 0);
  const started = startModern(dut);
  if (!net) expect(dut.load(MODERN + COMMON.status, 1)).toBe(0xf);
  return started;
}
