// Property test: rings, tables, requests and registers full of nonsense never throw, and never cost more than a bound.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryStore, openDisk } from '../disk.ts';
import type { GuestRam } from '../memory.ts';
import { RAM_BYTES, VirtioBench } from '../testing/virtio-bench.ts';
import { virtioBlk } from './blk.ts';
import { virtioConsole } from './console.ts';
import { virtioNet } from './net.ts';
import { virtioRng } from './rng.ts';
import { MMIO } from './transport-mmio.ts';

/** Reads of guest RAM by one notification: a chain of 1024 descriptors, five fields each, and a few more. */
const READS_MAX = 6_000;
const TABLE = 0x20000;
/** The disk latency of the largest request, and then some. */
const STEP_NANOS = 40_000_000;

const devices = {
  blk: () =>
    new VirtioBench(virtioBlk, { disk: openDisk(memoryStore(1 << 16), 'read-write', 'disk') }),
  net: () => {
    const bench = new VirtioBench(virtioNet, { mac: [2, 0, 0, 0, 0, 1] });
    bench.device.face.connect((frame) => bench.device.face.receive(frame)); // A cable to itself.
    return bench;
  },
  console: () => new VirtioBench(virtioConsole, { transmit: () => {} }),
  rng: () => new VirtioBench(virtioRng, { seed: 1 }),
} as const;

type Kind = keyof typeof devices;
type Bench = Pick<
  ReturnType<(typeof devices)['rng']>,
  'start' | 'ram' | 'rings' | 'notify' | 'write' | 'read' | 'top' | 'log' | 'needsReset'
>;

/** Counts what a device asks RAM for. */
function counted(ram: GuestRam): { reads: number } {
  const count = { reads: 0 };
  for (const method of ['u16', 'u32', 'view'] as const) {
    const original = ram[method].bind(ram) as (...args: number[]) => never;
    ram[method] = (...args: number[]) => {
      count.reads++;
      return original(...args);
    };
  }
  return count;
}

const address = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: RAM_BYTES + 64 }) },
  { weight: 1, arbitrary: fc.constantFrom(RAM_BYTES - 1, 2 ** 32 - 1, 2 ** 52, 2 ** 64 - 4096) },
);
const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 2048 }) },
  { weight: 2, arbitrary: fc.constantFrom(1, 12, 16, 20, 513, 0x8000, 0x80000, 0xffffffff) },
);
/** Mostly a link of a chain that runs on; sometimes anything. */
const descriptor = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      gpa: fc.integer({ min: 0, max: 0xf000 }),
      bytes: fc.integer({ min: 0, max: 1024 }),
      flags: fc.constantFrom(1, 1, 1, 3, 3, 0, 2),
      jump: fc.constantFrom(0, 0, 0, 0, 0, 1, -1, -3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      gpa: address,
      bytes: length,
      flags: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 0xffff })),
      jump: fc.integer({ min: -16, max: 0xffff }),
    }),
  },
);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('publish'),
    head: fc.oneof(fc.constantFrom(0, 0, 4, 15), fc.integer({ min: 0, max: 17 })),
  }),
  fc.record({ kind: fc.constant('index'), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant('pass'), nanos: fc.integer({ min: 0, max: STEP_NANOS }) }),
  fc.record({
    kind: fc.constant('register'),
    offset: fc.integer({ min: 0, max: 0x7f }),
    value: fc.oneof(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 0xffffffff })),
  }),
  fc.record({ kind: fc.constant('restart') }),
);

interface Step {
  kind: string;
  head?: number;
  value?: number;
  nanos?: number;
  offset?: number;
}

function take(bench: Bench, queue: number, action: Step): void {
  const ring = bench.rings[queue]!;
  switch (action.kind) {
    case 'publish':
      ring.publish(action.head!);
      return;
    case 'index':
      bench.ram.setU16(ring.driver + 2, action.value!);
      return;
    case 'pass':
      bench.top.pass(action.nanos!);
      return;
    case 'register':
      bench.write(action.offset! * 4, action.value!);
      bench.read(action.offset! * 4);
      return;
    case 'restart':
      bench.start([]);
  }
}

test.each(Object.keys(devices) as Kind[])('%s survives nonsense at a bounded cost', (kind) => {
  const plan = fc.record({
    queue: fc.integer({ min: 0, max: 1 }),
    eventIndex: fc.boolean(),
    descriptors: fc.array(descriptor, { minLength: 1, maxLength: 15 }),
    table: fc.array(descriptor, { minLength: 1, maxLength: 40 }),
    noise: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 32, maxLength: 64 }),
    steps: fc.array(step, { maxLength: 12 }),
  });
  fc.assert(
    fc.property(plan, ({ queue, eventIndex, descriptors, table, noise, steps }) => {
      const bench: Bench = devices[kind]();
      bench.start([], { eventIndex });
      const at = Math.min(queue, bench.rings.length - 1);
      const ring = bench.rings[at]!;
      for (let i = 0; i < 16; i++) bench.ram.write(0x1000 * i, Uint8Array.from(noise));
      table.forEach((d, i) => {
        ring.describe(TABLE, i, d.gpa, d.bytes, d.flags, i + 1 + d.jump);
      });
      descriptors.forEach((d, i) => {
        ring.describe(ring.desc, i, d.gpa, d.bytes, d.flags, (i + 1 + d.jump) & 0xffff);
      });
      ring.describe(ring.desc, 15, TABLE, 16 * 2048, 4);
      const count = counted(bench.ram);
      for (const action of steps) {
        take(bench, at, action as Step);
        count.reads = 0;
        bench.notify(at);
        expect(count.reads).toBeLessThan(READS_MAX);
      }
      bench.top.pass(STEP_NANOS);
      expect(bench.log.length).toBeLessThanOrEqual(16);
      // Whatever happened, a reset brings it back.
      bench.start([]);
      expect([bench.read(MMIO.status), bench.needsReset()]).toEqual([0xf, false]);
    }),
    { numRuns: 200 },
  );
});
