// Tests of the split virtqueue against virtio 1.2 section 2.7, with good and with hostile rings.

import { expect, test } from 'vitest';
import { RingDriver, testRam } from '../testing/ring-driver.ts';
import {
  queueState,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
  Virtqueue,
} from './queue.ts';

const RAM = 0x40000;
const RINGS = 0x8000;
const TABLE = 0x10000;

function bench({ size = 8, indirect = true, eventIndex = false } = {}) {
  const ram = testRam(RAM);
  const ring = new RingDriver(ram, RINGS, size);
  const failures: string[] = [];
  let interrupts = 0;
  const queue = new Virtqueue(queueState(size), 0, {
    ram: () => ram,
    indirect: () => indirect,
    eventIndex: () => eventIndex,
    fail: (why) => failures.push(why),
    interrupt: () => interrupts++,
  });
  queue.state.areas.set([ring.desc, 0, ring.driver, 0, ring.device, 0]);
  queue.enable();
  return { ram, ring, queue, failures, interrupts: () => interrupts };
}

test('a chain gives its readable and writable buffers in order', () => {
  const { ring, queue } = bench();
  const head = ring.submit([
    { gpa: 0x100, bytes: 16 },
    { gpa: 0x200, bytes: 3 },
    { gpa: 0x300, bytes: 512, write: true },
    { gpa: 0x600, bytes: 1, write: true },
  ]);
  expect(queue.pop()).toEqual({
    head,
    readable: [
      { gpa: 0x100, bytes: 16 },
      { gpa: 0x200, bytes: 3 },
    ],
    writable: [
      { gpa: 0x300, bytes: 512 },
      { gpa: 0x600, bytes: 1 },
    ],
  });
  expect(queue.pop()).toBeNull();
});

test('an indirect table may be longer than the ring, and may follow normal descriptors', () => {
  const { ring, queue, failures } = bench({ size: 4 });
  ring.submitIndirect(
    TABLE,
    Array.from({ length: 20 }, (_, i) => ({ gpa: 0x1000 * i, bytes: 8 })),
  );
  expect(queue.pop()?.readable).toHaveLength(20);
  ring.describe(ring.desc, 2, 0x900, 4, VIRTQ_DESC_F_NEXT, 3);
  ring.describe(ring.desc, 3, TABLE, 16 * 20, VIRTQ_DESC_F_INDIRECT);
  ring.publish(2);
  expect(queue.pop()?.readable).toHaveLength(21);
  expect(failures).toEqual([]);
});

test('both rings and their indexes wrap around', () => {
  const { ring, queue, failures } = bench({ size: 4 });
  for (let i = 0; i < 70_000; i++) {
    const head = ring.submit([{ gpa: 0x100, bytes: 4, write: true }]);
    const chain = queue.pop();
    queue.push(chain!.head, i & 0xff);
    if (ring.used().some((entry) => entry.head !== head || entry.written !== (i & 0xff))) {
      throw new Error(`entry ${i} came back wrong`);
    }
  }
  expect([queue.state.nextUsed, queue.state.nextAvail, failures]).toEqual([4464, 4464, []]);
});

test('a full ring of chains is taken one by one and given back in another order', () => {
  const { ring, queue } = bench();
  const heads = Array.from({ length: 8 }, (_, i) => ring.submit([{ gpa: 16 * i, bytes: 16 }]));
  const taken = heads.map(() => queue.pop()!.head);
  expect(taken).toEqual(heads);
  for (const head of taken.reverse()) queue.push(head, 0);
  expect(ring.used().map((entry) => entry.head)).toEqual(taken);
});

test('without event indexes the flag of the available ring holds interrupts back', () => {
  const { ring, queue, interrupts } = bench();
  const turn = () => {
    queue.push(ring.submit([{ gpa: 0, bytes: 1 }]), 0);
    queue.signal();
    return interrupts();
  };
  expect(turn()).toBe(1);
  ring.setInterruptWanted(false);
  expect(turn()).toBe(1);
  ring.setInterruptWanted(true);
  expect(turn()).toBe(2);
});

test('with event indexes the interrupt comes when the named entry has been used', () => {
  const { ring, queue, interrupts } = bench({ eventIndex: true });
  ring.setUsedEvent(2);
  const counts = [0, 1, 2, 3, 4].map(() => {
    queue.push(0, 0);
    queue.signal();
    return interrupts();
  });
  expect(counts).toEqual([0, 0, 1, 1, 1]);
});

test('an event index is passed as well when several entries become used together', () => {
  const { ring, queue, interrupts } = bench({ eventIndex: true });
  ring.setUsedEvent(1);
  for (let i = 0; i < 4; i++) queue.stage(i, i, 0);
  expect(ring.used()).toEqual([]);
  queue.publish(4);
  queue.signal();
  expect(ring.used()).toHaveLength(4);
  expect(interrupts()).toBe(1);
});

test('an empty ring asks for a notification about its very next entry', () => {
  const { ring, queue } = bench({ eventIndex: true });
  for (let i = 0; i < 3; i++) ring.submit([{ gpa: 0, bytes: 1 }]);
  while (queue.pop() !== null);
  expect(ring.availEvent()).toBe(3);
});

test('chains that were put back are taken again', () => {
  const { ring, queue } = bench();
  const heads = [0, 1].map(() => ring.submit([{ gpa: 0, bytes: 1 }]));
  queue.pop();
  queue.pop();
  queue.unpop(2);
  expect([queue.pop()?.head, queue.pop()?.head]).toEqual(heads);
});

const W = VIRTQ_DESC_F_WRITE;
const N = VIRTQ_DESC_F_NEXT;
const I = VIRTQ_DESC_F_INDIRECT;
type Bad = readonly [name: string, says: RegExp, build: (ring: RingDriver) => void];
const bad: readonly Bad[] = [
  [
    'a chain that loops',
    /more than 8 descriptors/,
    (ring) => {
      ring.describe(ring.desc, 0, 0, 1, N, 1);
      ring.describe(ring.desc, 1, 0, 1, N, 0);
      ring.publish(0);
    },
  ],
  [
    'a chain into a descriptor beyond the table',
    /goes on at descriptor 8 of 8/,
    (ring) => {
      ring.describe(ring.desc, 0, 0, 1, N, 8);
      ring.publish(0);
    },
  ],
  ['a head beyond the table', /descriptor 65535 of 8/, (ring) => ring.publish(0xffff)],
  [
    'a buffer that starts outside RAM',
    /outside RAM/,
    (ring) => ring.submit([{ gpa: RAM, bytes: 1 }]),
  ],
  [
    'a buffer that ends outside RAM',
    /outside RAM/,
    (ring) => ring.submit([{ gpa: RAM - 4, bytes: 0xffffffff }]),
  ],
  [
    'a buffer at a 64-bit address that would wrap',
    /outside RAM/,
    (ring) => ring.submit([{ gpa: 2 ** 64 - 4096, bytes: 8192 }]),
  ],
  [
    'a readable buffer after a writable one',
    /readable buffer after a writable/,
    (ring) =>
      ring.submit([
        { gpa: 0, bytes: 1, write: true },
        { gpa: 0, bytes: 1 },
      ]),
  ],
  [
    'an indirect table outside RAM',
    /indirect table of 16 bytes/,
    (ring) => {
      ring.describe(ring.desc, 0, RAM, 16, I);
      ring.publish(0);
    },
  ],
  [
    'an indirect table of no whole number of descriptors',
    /indirect table of 17 bytes/,
    (ring) => {
      ring.describe(ring.desc, 0, TABLE, 17, I);
      ring.publish(0);
    },
  ],
  [
    'an indirect table in an indirect table',
    /indirect descriptor where none may be/,
    (ring) => {
      ring.describe(TABLE, 0, TABLE, 16, I);
      ring.describe(ring.desc, 0, TABLE, 16, I);
      ring.publish(0);
    },
  ],
  [
    'an indirect descriptor with a next one',
    /goes on after an indirect/,
    (ring) => {
      ring.describe(ring.desc, 0, TABLE, 16, I | N, 1);
      ring.publish(0);
    },
  ],
  [
    'an indirect table that loops',
    /more than 1024 descriptors/,
    (ring) => {
      ring.describe(TABLE, 0, 0, 1, N, 0);
      ring.describe(ring.desc, 0, TABLE, 16 * 2048, I);
      ring.publish(0);
    },
  ],
  [
    'more entries than the ring has',
    /9 entries available in a ring of 8/,
    (ring) => {
      ring.describe(ring.desc, 0, 0, 1, W);
      ring.ram.setU16(ring.driver + 2, 9);
    },
  ],
];

test.each(bad)('%s fails the device with a sentence', (_name, says, build) => {
  const { ring, queue, failures } = bench();
  build(ring);
  expect(queue.pop()).toBeNull();
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatch(says);
});

test('an indirect descriptor that was not negotiated is refused', () => {
  const { ring, queue, failures } = bench({ indirect: false });
  ring.submitIndirect(TABLE, [{ gpa: 0, bytes: 1 }]);
  expect(queue.pop()).toBeNull();
  expect(failures[0]).toMatch(/indirect descriptor where none may be/);
});

test.each([
  ['unaligned', 0x8008, 8],
  ['outside RAM', RAM - 64, 8],
  ['beyond 4 GiB', 2 ** 52, 8],
])('rings %s are refused when they are enabled', (_name, gpa, size) => {
  const { queue, failures } = bench();
  queue.reset();
  queue.state.size = size;
  queue.state.areas.set([gpa % 2 ** 32, gpa / 2 ** 32, 0x2000, 0, 0x3000, 0]);
  queue.enable();
  expect(queue.state.enabled).toBe(false);
  expect(failures[0]).toMatch(/descriptor area at .* unaligned or outside RAM/);
});

test.each([0, 3, 16, 0xffff])(
  'a ring of %i descriptors where 8 are the most is refused',
  (size) => {
    const { queue, failures } = bench();
    queue.disable();
    queue.state.size = size;
    queue.enable();
    expect(failures[0]).toMatch(/instead of a power of two up to 8/);
  },
);

test('a legacy queue has its used ring on the next page', () => {
  const { ring, queue } = bench();
  queue.placeLegacy(RINGS / 4096);
  expect([...queue.state.areas]).toEqual([ring.desc, 0, ring.driver, 0, ring.device, 0]);
  queue.placeLegacy(0xffffffff);
  expect(queue.state.enabled).toBe(false);
});
