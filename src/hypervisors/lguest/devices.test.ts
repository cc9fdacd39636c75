// The device page: its descriptors byte by byte, status and kicks by NOTIFY, and each kind of device at work for a guest.

import { expect, test } from 'vitest';
import { memoryStore, openDisk } from '../../machine/disk.ts';
import type { GuestRam } from '../../machine/memory.ts';
import { RingDriver } from '../../machine/testing/ring-driver.ts';
import {
  firstTables,
  type GuestOptions,
  guest,
  MEMORY,
  runLguest,
} from './testing/lguest-guest.ts';

const { init, store, keepAt, keep, call, gate, off, page, field } = guest;
const PAGE = 4096;
const M = MEMORY;
const LIMIT = M + 0x100000;
const ring = (n: number) => M + n * PAGE;
/** Descriptors on the page, and first pages of rings: console 1 and 3, random bytes 5, then disks or cards. */
const CONSOLE = { at: M, input: ring(1), output: ring(3) };
const RNG = { at: M + 21, queue: ring(5) };
const THIRD = { at: M + 34, first: ring(7), second: ring(10) };

/** Maps the device page and its rings, as ioremap does. */
const mapDevices = [
  ...Array.from({ length: 32 }, (_, n) => store(page(20) + 4 * n, (M + n * PAGE) | 7)),
  store(firstTables(false).directoryAt(M), page(20) | 7),
].join('; ');
const status = (at: number, value: number) =>
  `mov byte ptr [${at + 4}], ${value}; ${call('NOTIFY', at)}`;
const wait = (used: number, count: number, label: string) =>
  `${label}: cmp word ptr [${used + 2}], ${count}; jne ${label}`;
const run = (program: string, options: GuestOptions = {}) =>
  runLguest(`${init}; ${mapDevices}; ${program}; ${off}`, options);

const bytes = (ram: GuestRam, at: number, length: number) => Array.from(ram.read(at, length)!);
const text = (ram: GuestRam, at: number, length: number) =>
  String.fromCharCode(...bytes(ram, at, length));
const write = (ram: GuestRam, at: number, words: string) =>
  ram.write(
    at,
    Uint8Array.from(words, (c) => c.charCodeAt(0)),
  );

test('the page lists console and random bytes, then disks and cards, each queue with a line of its own', () => {
  const disk = openDisk(memoryStore(64 << 10), 'read-only', 'disk');
  const { ram } = run('', { disks: [disk], nets: ['null'] });
  const word = (value: number) => [
    value & 0xff,
    (value >> 8) & 0xff,
    (value >> 16) & 0xff,
    value >>> 24,
  ];
  const queue = (num: number, line: number, at: number) => [
    num & 0xff,
    num >> 8,
    line,
    0,
    ...word(at / PAGE),
  ];
  const zeros = (n: number) => Array.from({ length: n }, () => 0);
  const expected = [
    ...[3, 2, 0, 0, 0, ...queue(64, 1, ring(1)), ...queue(64, 2, ring(3))],
    ...[4, 1, 0, 0, 0, ...queue(8, 3, ring(5))],
    // SIZE_MAX, SEG_MAX, RO, BLK_SIZE, FLUSH; none accepted; capacity, size_max, seg_max, geometry, blk_size.
    ...[2, 1, 4, 24, 0, ...queue(128, 4, ring(7)), 0x66, 0x02, 0, 0, ...zeros(4)],
    ...[...word(128), ...zeros(4), ...word(0x10000), ...word(126), ...zeros(4), ...word(512)],
    ...[
      1,
      2,
      4,
      6,
      0,
      ...queue(256, 5, ring(9)),
      ...queue(256, 6, ring(12)),
      0x20,
      0,
      0,
      0,
      ...zeros(4),
    ],
    ...[0x52, 0x54, 0, 0x12, 0x34, 0x56],
    0,
  ];
  expect(bytes(ram, M, expected.length)).toEqual(expected);
});

test('the console prints what its output queue is given, kicked before DRIVER_OK, and the driver spins with interrupts off', () => {
  const { output, why } = run(
    `${status(CONSOLE.at, 3)}; ${call('NOTIFY', CONSOLE.output)}; ${wait(CONSOLE.output + PAGE, 1, 'spin')}`,
    {
      prepare(memory) {
        write(memory, page(0), 'over the ring\n');
        new RingDriver(memory, CONSOLE.output, 64).submit([{ gpa: page(0), bytes: 14 }]);
      },
    },
  );
  expect(output).toBe('over the ring\n');
  expect(why).toContain('Power down');
});

test.each(['reference', 'jit'] as const)(
  'what is typed fills the buffer of the input queue and raises line 1, on %s',
  (engine) => {
    const { results, ram } = run(
      `${gate(33, 'key')}; ${store(field('blocked_interrupts'), 1)}; ${status(CONSOLE.at, 7)}
     ${call('NOTIFY', CONSOLE.input)}; ${call('HALT')}
     key: ${keep('1')}; ${keepAt(CONSOLE.input + PAGE + 8)}; ${off}`,
      {
        engine,
        typed: 'ls\n',
        prepare(memory) {
          new RingDriver(memory, CONSOLE.input, 64).submit([
            { gpa: page(0), bytes: 4096, write: true },
          ]);
        },
      },
    );
    expect(results).toEqual([1, 3]);
    expect(text(ram, page(0), 3)).toBe('ls\n');
  },
);

test('a disk reads and writes sectors, and answers a read with the status behind the data', () => {
  const image = memoryStore(64 << 10);
  const disk = openDisk(image, 'read-write', 'disk');
  disk.write(2, new Uint8Array(512).fill(0x5a));
  const header = (ram: GuestRam, at: number, type: number, sector: number) => {
    ram.setU64(at, type, 0);
    ram.setU64(at + 8, sector, 0);
  };
  const driven = run(
    `${gate(36, 'done')}; ${store(field('blocked_interrupts'), 0)}; ${store(field('irq_enabled'), 0x200)}
     ${status(THIRD.at, 7)}; ${wait(THIRD.first + PAGE, 2, 'spin')}; ${keep('2')}; ${off}
     done: ${keep('1')}; ${store(field('irq_enabled'), 0x200)}; iretd`,
    {
      disks: [disk],
      prepare(memory) {
        header(memory, page(0), 0, 2);
        header(memory, page(1), 1, 7);
        memory.fill(page(3), 512, 0xa5);
        const requests = new RingDriver(memory, THIRD.first, 128);
        requests.submit([
          { gpa: page(0), bytes: 16 },
          { gpa: page(2), bytes: 512, write: true },
          { gpa: page(4), bytes: 1, write: true },
        ]);
        requests.submit([
          { gpa: page(1), bytes: 16 },
          { gpa: page(3), bytes: 512 },
          { gpa: page(4) + 1, bytes: 1, write: true },
        ]);
      },
    },
  );
  expect(driven.why).toContain('Power down');
  expect(driven.results).toContain(1);
  expect(bytes(driven.ram, page(2), 512).every((byte) => byte === 0x5a)).toBe(true);
  expect(bytes(driven.ram, page(4), 2)).toEqual([0, 0]);
  const back = new Uint8Array(512);
  disk.read(7, back);
  expect(back.every((byte) => byte === 0xa5)).toBe(true);
});

test('a frame that one card sends reaches the other card of the guest', () => {
  // The second card's descriptor follows the first; its rings are six pages further on.
  const second = { at: THIRD.at + 5 + 16 + 8 + 6, receive: ring(7 + 6) };
  const { why, ram } = run(
    `${status(THIRD.at, 7)}; ${status(second.at, 7)}; ${call('NOTIFY', THIRD.second)}
     ${wait(second.receive + 2 * PAGE, 1, 'spin')}`,
    {
      nets: ['link'],
      prepare(memory) {
        write(memory, page(0) + 10, 'an ethernet frame of sixty bytes');
        new RingDriver(memory, THIRD.second, 256).submit([{ gpa: page(0), bytes: 10 + 60 }]);
        new RingDriver(memory, second.receive, 256).submit([
          { gpa: page(1), bytes: 1526, write: true },
        ]);
      },
    },
  );
  expect(why).toContain('Power down');
  expect(text(ram, page(1) + 10, 32)).toBe('an ethernet frame of sixty bytes');
  expect(ram.u32(second.receive + 2 * PAGE + 8)).toBe(70);
});

test('random bytes are given, the same in every run', () => {
  const sample = () => {
    const { ram } = run(`${status(RNG.at, 7)}; ${wait(RNG.queue + PAGE, 1, 'spin')}`, {
      prepare: (memory) =>
        void new RingDriver(memory, RNG.queue, 8).submit([
          { gpa: page(0), bytes: 64, write: true },
        ]),
    });
    return bytes(ram, page(0), 64);
  };
  expect(new Set(sample()).size).toBeGreaterThan(20);
  expect(sample()).toEqual(sample());
});

test('a reset takes back what was accepted, and empties the rings', () => {
  const disk = openDisk(memoryStore(64 << 10), 'read-write', 'disk');
  const accepted = THIRD.at + 5 + 8 + 4;
  const { ram } = run(`${store(accepted, 4)}; ${status(THIRD.at, 7)}; ${status(THIRD.at, 0)}`, {
    disks: [disk],
    prepare: (memory) => void memory.fill(THIRD.first, PAGE, 0),
  });
  expect(ram.u32(accepted)).toBe(0);
  expect(ram.u8(THIRD.at + 4)).toBe(0);
});

test('a feature that was not offered ends the guest, and so does a ring that breaks the rules', () => {
  const disk = openDisk(memoryStore(64 << 10), 'read-write', 'disk');
  const wrong = run(`${store(THIRD.at + 5 + 8 + 4, 1)}; ${status(THIRD.at, 7)}`, { disks: [disk] });
  expect(wrong.why).toContain('was not offered features 0x1');
  const outside = run(`${status(CONSOLE.at, 7)}; ${call('NOTIFY', CONSOLE.output)}`, {
    prepare: (memory) =>
      void new RingDriver(memory, CONSOLE.output, 64).submit([{ gpa: LIMIT, bytes: 14 }]),
  });
  expect(outside.stop).toBe('ended');
  expect(outside.why).toMatch(/lguest.console: queue 1 has a chain .* outside RAM/);
});

test('frames of the host lie beyond what a device can reach', () => {
  const { ram, why } = run(`${status(RNG.at, 7)}; ${call('NOTIFY', RNG.queue)}`, {
    prepare: (memory) =>
      void new RingDriver(memory, RNG.queue, 8).submit([
        { gpa: LIMIT + PAGE, bytes: 64, write: true },
      ]),
  });
  expect(why).toContain('outside RAM');
  expect(ram.u32(LIMIT + 12 * 8 + 4)).toBe(0x00cfbb00);
});
