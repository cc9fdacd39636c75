// A virtio driver that comes to terms with its device, more or less, and then hands it rings of nonsense.

import type { Range } from '../../src/machine/board.ts';
import type { MmioHandler, PioHandler } from '../../src/machine/device.ts';
import type { GuestRam } from '../../src/machine/memory.ts';
import { LEGACY } from '../../src/machine/virtio/pci-legacy.ts';
import { COMMON } from '../../src/machine/virtio/pci-modern.ts';
import { MODERN_BYTES, REGION } from '../../src/machine/virtio/pci-regions.ts';
import { MMIO } from '../../src/machine/virtio/transport-mmio.ts';
import type { Bench } from './board.ts';
import { Chance } from './chance.ts';

const RING_BYTES = 0x3000;
const RINGS_AT = 0x80000;
const TABLE_AT = 0x70000;
const BUFFERS_END = 0x8000;
const RING_SIZE = 8;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const DMA_AT = 0x60000;
/** What, written to its DMA register, points there: big-endian. */
export const DMA_WORD = 0x00000600;

const ringAt = (queue: number): number => RINGS_AT + queue * RING_BYTES;

/** The registers of one transport, under one set of names. */
interface Driver {
  status(value: number): void;
  features(word: number, value: number): void;
  /** Answers the size that the queue then has. */
  queue(index: number, size: number, at: number): number;
  notify(index: number): void;
}

/** Reset, features, queues, DRIVER_OK, then some buffers; each of them now and then left out or wrong. */
export function bringUp(bench: Bench, id: string, seed: number): number {
  const chance = new Chance(seed);
  const driver = driverOf(bench.seats.find((seat) => seat.id === id)!.ranges);
  const sane = !chance.oneIn(4);
  driver.status(0);
  if (!chance.oneIn(8)) {
    driver.status(3);
    driver.features(0, sane ? chance.pick([0, 1 << 28, 3 << 28]) : chance.value());
    driver.features(1, sane ? 1 : chance.value());
    driver.status(sane ? 0xb : chance.below(256));
  }
  const sizes = [0, 1].map((queue) => {
    const at = sane ? ringAt(queue) : chance.value();
    const size = driver.queue(queue, sane ? RING_SIZE : chance.value() & 0xffff, at);
    bench.ram.fill(ringAt(queue), RING_BYTES, 0);
    return size;
  });
  driver.status(sane ? 0xf : chance.below(256));
  for (let n = chance.below(6); n >= 0; n--) {
    const queue = chance.below(sizes.length);
    fillRing(bench.ram, chance, ringAt(queue), sizes[queue]!);
    driver.notify(chance.oneIn(8) ? chance.value() & 0xffff : queue);
  }
  return 0;
}

/** For the firmware configuration device: control, length and address, big-endian (QEMU docs/specs/fw_cfg.txt). */
function dmaRequest(chance: Chance, bytes: number): Uint8Array {
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setUint32(
    0,
    chance.oneIn(4) ? chance.value() : (chance.below(0x22) << 16) | chance.below(32),
  );
  view.setUint32(4, chance.oneIn(2) ? chance.value() : chance.below(8192));
  view.setUint32(8, chance.oneIn(16) ? chance.value() : 0);
  view.setUint32(12, chance.oneIn(4) ? chance.value() : chance.below(bytes));
  return request;
}

/** Random bytes, pointers and tables anywhere in RAM. */
export function scribble(ram: GuestRam, seed: number, bytes: number): void {
  const chance = new Chance(seed);
  if (chance.oneIn(3)) fillRing(ram, chance, ringAt(chance.below(2)), RING_SIZE);
  else if (chance.oneIn(2)) ram.write(DMA_AT, dmaRequest(chance, bytes));
  else ram.write(chance.below(bytes - 64) & ~3, chance.bytes(64));
}

/**
 * Descriptors in the first places, then the available ring, in the layout that `Driver.queue` announces. Most chains are
 * well-formed, or no device would get as far as to look at what is in them.
 */
function fillRing(ram: GuestRam, chance: Chance, at: number, size: number): void {
  table(ram, chance, at, RING_SIZE);
  table(ram, chance, TABLE_AT, 3 * RING_SIZE);
  ram.write(chance.below(BUFFERS_END) & ~0xf, header(chance));
  const available = at + 16 * size;
  const index = ram.u16(available + 2);
  for (let n = 0; n < RING_SIZE; n++) {
    ram.setU16(
      available + 4 + 2 * n,
      chance.oneIn(16) ? chance.value() & 0xffff : chance.below(RING_SIZE),
    );
  }
  const next = (index + 1 + chance.below(3)) & 0xffff;
  ram.setU16(available + 2, chance.oneIn(16) ? chance.value() & 0xffff : next);
}

/** A row of descriptors, each followed by the next: some to read, then some to write, then the end of the chain. */
function table(ram: GuestRam, chance: Chance, at: number, count: number): void {
  const writable = chance.below(count);
  const last = Math.min(count - 1, writable + chance.below(4));
  for (let n = 0; n < count; n++) {
    const place = at + 16 * n;
    if (chance.oneIn(40)) {
      ram.write(place, chance.bytes(16));
      continue;
    }
    const indirect = at !== TABLE_AT && chance.oneIn(10);
    const gpa = chance.oneIn(40) ? chance.value() : chance.below(BUFFERS_END) & ~0xf;
    const length = chance.oneIn(20)
      ? chance.value()
      : chance.pick([1, 12, 16, 64, 512, 1536, 4096]);
    ram.setU64(place, indirect ? TABLE_AT : gpa, 0);
    ram.setU32(place + 8, indirect ? 16 * chance.pick([1, 8, 24, 2048]) : length);
    const flags = (n < last && !indirect ? NEXT : 0) | (n >= writable ? WRITE : 0);
    ram.setU16(
      place + 12,
      (indirect ? INDIRECT : 0) | (chance.oneIn(40) ? chance.below(8) : flags),
    );
    ram.setU16(place + 14, chance.oneIn(40) ? chance.below(count) : n + 1);
  }
}

/** What a block request begins with, written where some buffer may lie. */
function header(chance: Chance): Uint8Array {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 16) {
    view.setUint32(at, chance.oneIn(8) ? chance.value() : chance.pick([0, 1, 4, 8]), true);
    view.setUint32(at + 8, chance.oneIn(8) ? chance.value() : chance.below(128), true);
  }
  return bytes;
}

function driverOf(ranges: readonly Range[]): Driver {
  const [first] = ranges;
  if (first?.space === 'port') return legacyDriver(first.handler);
  if (first?.space === 'memory' && first.length === MODERN_BYTES)
    return modernDriver(first.handler);
  return mmioDriver(first!.handler as MmioHandler);
}

function legacyDriver(io: PioHandler): Driver {
  return {
    status: (value) => io.write(LEGACY.status, value, 1),
    features: (word, value) => {
      if (word === 0) io.write(LEGACY.driverFeatures, value, 4);
    },
    queue(index, _size, at) {
      io.write(LEGACY.queueSelect, index, 2);
      io.write(LEGACY.queueAddress, at >>> 12, 4);
      return io.read(LEGACY.queueSize, 2);
    },
    notify: (index) => io.write(LEGACY.queueNotify, index, 2),
  };
}

function modernDriver(memory: MmioHandler): Driver {
  return {
    status: (value) => memory.write(COMMON.status, value, 1),
    features(word, value) {
      memory.write(COMMON.driverFeatureSelect, word, 4);
      memory.write(COMMON.driverFeature, value, 4);
    },
    queue(index, size, at) {
      memory.write(COMMON.queueSelect, index, 2);
      memory.write(COMMON.queueSize, size, 2);
      [at, at + 16 * size, at + 0x1000].forEach((area, n) => {
        memory.write(COMMON.queueDesc + 8 * n, area >>> 0, 4);
      });
      memory.write(COMMON.queueEnable, 1, 2);
      return size;
    },
    notify: (index) => memory.write(REGION.notify + 4 * (index & 0x3ff), index, 2),
  };
}

function mmioDriver(memory: MmioHandler): Driver {
  return {
    status: (value) => memory.write(MMIO.status, value, 4),
    features(word, value) {
      memory.write(MMIO.driverFeaturesSel, word, 4);
      memory.write(MMIO.driverFeatures, value, 4);
    },
    queue(index, size, at) {
      memory.write(MMIO.queueSel, index, 4);
      memory.write(MMIO.queueNum, size, 4);
      [at, at + 16 * size, at + 0x1000].forEach((area, n) => {
        memory.write(MMIO.queueDesc + 0x10 * n, area >>> 0, 4);
      });
      memory.write(MMIO.queueReady, 1, 4);
      return size;
    },
    notify: (index) => memory.write(MMIO.queueNotify, index, 4),
  };
}
