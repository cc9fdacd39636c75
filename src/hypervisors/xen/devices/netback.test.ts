// Two joined network cards from their front ends' side: packets of several slots, credit, checksums, refusals.

import { expect, it } from 'vitest';
import * as evtchn from '../abi/event-channel.ts';
import { GTF_permit_access } from '../abi/grant-table.ts';
import { channelAt, isPending, send } from '../events.ts';
import { grantFrame } from '../grant-frames.ts';
import { Store } from '../store/store.ts';
import { writeDomain } from '../store/toolstack.ts';
import { testDomain } from '../testing/domain.ts';
import { joinVifs, netDevice } from './netback.ts';

const MORE = 4;
const EXTRA = 8;
const BLANK = 1;
const VALIDATED = 2;
/** Each card's pages: transmit ring, receive ring, four of data to send, four to receive into; granted by references from 8 on. */
const PAGES = 10;
const pageOf = (card: number, n: number) => 0x20_0000 + (card * PAGES + n) * 4096;
const refOf = (card: number, n: number) => 8 + card * PAGES + n;

interface Slot {
  page: number;
  offset?: number;
  size: number;
  flags?: number;
  ref?: number;
}

function pair(features: Readonly<Record<string, string>> = {}) {
  const test = testDomain();
  const { domain, platform } = test;
  const { ram, clock } = platform;
  const store = new Store(platform.snapshots);
  writeDomain(store, platform, { consolePort: 0, consoleFrame: 0, storePort: 0, storeFrame: 0 });
  const [first, second] = [netDevice(domain, store, 0), netDevice(domain, store, 1)];
  joinVifs(first, second);
  for (const { backend } of [first, second]) backend.offer();
  const table = grantFrame(domain, 0);
  const cards = [0, 1].map((card) => {
    for (let n = 0; n < PAGES; n++) {
      ram.setU32(table + refOf(card, n) * 8, GTF_permit_access);
      ram.setU32(table + refOf(card, n) * 8 + 4, pageOf(card, n) / 4096);
    }
    test.call(32, 6, test.put(evtchn.evtchnAllocUnbound, { dom: 0x7ff0, remote_dom: 0 }));
    const { port } = test.get(evtchn.evtchnAllocUnbound);
    const front = `/local/domain/1/device/vif/${card}`;
    const directory = {
      ...{ 'tx-ring-ref': refOf(card, 0), 'rx-ring-ref': refOf(card, 1), 'event-channel': port },
      ...{ 'request-rx-copy': 1, 'feature-rx-notify': 1, 'feature-sg': 1, ...features, state: 4 },
    };
    for (const [name, value] of Object.entries(directory))
      store.write(`${front}/${name}`, String(value));
    store.settle();
    return { card, port, tx: pageOf(card, 0), rx: pageOf(card, 1), sent: 0, given: 0 };
  });
  const [one, two] = cards as [(typeof cards)[0], (typeof cards)[0]];
  const kick = (port: number) => send(domain, port, channelAt(domain, port)!);
  const later = (nanos = 10_000_000) => {
    const end = clock.now() + nanos;
    while (clock.nextDeadline() <= end) {
      clock.skipTo(Math.max(clock.nextDeadline(), clock.now()));
      clock.runDue(100);
    }
    clock.skipTo(end);
  };
  /** Puts slots into the first card's transmit ring; a number is a word of extra information. */
  const transmit = (...slots: (Slot | number)[]) => {
    for (const slot of slots) {
      const at = one.tx + 64 + (one.sent % 256) * 12;
      if (typeof slot === 'number') ram.setU32(at, slot);
      else {
        ram.setU32(at, slot.ref ?? refOf(0, 2 + slot.page));
        ram.setU16(at + 4, slot.offset ?? 0);
        ram.setU16(at + 6, slot.flags ?? 0);
        ram.setU16(at + 8, one.sent + 0x100);
        ram.setU16(at + 10, slot.size);
      }
      ram.setU32(one.tx, ++one.sent);
    }
    kick(one.port);
  };
  /** Gives the second card so many buffers. */
  const give = (count: number) => {
    for (let n = 0; n < count; n++) {
      const at = two.rx + 64 + (two.given % 256) * 8;
      ram.setU16(at, two.given + 0x200);
      ram.setU32(at + 4, refOf(1, 6 + (two.given % 4)));
      ram.setU32(two.rx, ++two.given);
    }
    kick(two.port);
  };
  const signed = (value: number) => (value << 16) >> 16;
  /** What the second card has received: id, flags and status of each slot. */
  const received = () =>
    Array.from({ length: ram.u32(two.rx + 8) }, (_, n) => {
      const at = two.rx + 64 + (n % 256) * 8;
      return [ram.u16(at), ram.u16(at + 4), signed(ram.u16(at + 6))];
    });
  /** The status of each transmitted slot. */
  const answers = () =>
    Array.from({ length: ram.u32(one.tx + 8) }, (_, n) =>
      signed(ram.u16(one.tx + 64 + (n % 256) * 12 + 2)),
    );
  const fill = (page: number, offset: number, bytes: readonly number[]) =>
    ram.write(pageOf(0, 2 + page) + offset, Uint8Array.from(bytes));
  const buffer = (n: number, bytes: number) => [...ram.read(pageOf(1, 6 + n), bytes)!];
  const pending = (port: number) => isPending(domain, port);
  return {
    ...{ ...test, store, ram, one, two },
    transmit,
    give,
    later,
    received,
    answers,
    fill,
    buffer,
    pending,
  };
}

it('carries a packet of three slots: the first one says the size of all, the receiver gets one piece', () => {
  const { transmit, give, later, received, answers, fill, buffer } = pair();
  fill(0, 100, [1, 2, 3]);
  fill(1, 4090, [4, 5, 6, 7, 8, 9]);
  fill(2, 0, [10, 11, 12, 13, 14, 15, 16]);
  give(1);
  transmit(
    { page: 0, offset: 100, size: 16, flags: MORE },
    { page: 1, offset: 4090, size: 6, flags: MORE },
    { page: 2, size: 7 },
  );
  later();
  expect(answers()).toEqual([0, 0, 0]);
  expect(received()).toEqual([[0x200, 0, 16]]);
  expect(buffer(0, 16)).toEqual(Array.from({ length: 16 }, (_, n) => n + 1));
});

it('spreads a packet of more than a page over buffers, all of which must be there', () => {
  const { transmit, give, later, received, ram, two } = pair();
  const send = () => transmit({ page: 0, size: 5000, flags: MORE }, { page: 1, size: 904 });
  give(1);
  send();
  later();
  expect(received()).toEqual([]);
  expect(ram.u32(two.rx + 4)).toBe(2); // req_event: to be told at the second buffer.
  give(1);
  later();
  expect(received()).toEqual([
    [0x200, MORE, 4096],
    [0x201, 0, 904],
  ]);
});

it('keeps packets in order while there is no buffer, and loses those that a full queue does not take', () => {
  const { transmit, give, later, received, fill, buffer, answers } = pair();
  for (let n = 0; n < 300; n++) {
    fill(0, 0, [n & 0xff, n >> 8]);
    transmit({ page: 0, size: 60 });
    later(100_000);
  }
  expect(answers()).toHaveLength(300);
  give(1);
  later();
  expect(buffer(0, 2)).toEqual([0, 0]);
  give(200);
  give(55);
  later();
  expect(received()).toHaveLength(256);
  expect(buffer(255 % 4, 2)).toEqual([255, 0]);
  give(1);
  later();
  expect(received()).toHaveLength(256);
});

it('loses packets at once when a front end without feature-rx-notify has no buffer', () => {
  const { transmit, give, later, received } = pair({ 'feature-rx-notify': '0' });
  transmit({ page: 0, size: 60 });
  later();
  give(1);
  later();
  expect(received()).toEqual([]);
});

it('gives a front end without feature-sg no packet of two buffers', () => {
  const { transmit, give, later, received } = pair({ 'feature-sg': '0' });
  give(4);
  transmit({ page: 0, size: 5000, flags: MORE }, { page: 1, size: 904 });
  transmit({ page: 0, size: 60 });
  later();
  expect(received()).toEqual([[0x200, 0, 60]]);
});

it('raises an event only where rsp_event asks for one', () => {
  const { transmit, give, later, pending, ram, one, two, domain } = pair();
  ram.setU32(one.tx + 12, 3);
  ram.setU32(two.rx + 12, 1);
  give(2);
  const clear = () => ram.write(domain.state.sharedInfo + 2048, new Uint8Array(512));
  clear();
  transmit({ page: 0, size: 60 });
  later();
  expect([pending(one.port), pending(two.port)]).toEqual([false, true]);
  clear();
  transmit({ page: 0, size: 60 });
  transmit({ page: 0, size: 60 });
  later();
  expect([pending(one.port), pending(two.port)]).toEqual([true, false]);
});

it('asks to be told of the next packet once it has taken all', () => {
  const { transmit, give, later, ram, one } = pair();
  give(2);
  transmit({ page: 0, size: 60 }, { page: 0, size: 60 });
  later();
  expect(ram.u32(one.tx + 4)).toBe(3);
});

it('sends at the rate of its wire, however often it is told', () => {
  const { transmit, give, later, received } = pair();
  give(4);
  transmit({ page: 0, size: 1500 }, { page: 0, size: 1500 });
  later(11_000);
  transmit({ page: 0, size: 60 });
  expect(received()).toHaveLength(0);
  later(13_000); // 1 us to begin, 12 us of bytes, 10 us of wire.
  expect(received()).toHaveLength(1);
  later(10_000);
  expect(received()).toHaveLength(1);
  later(10_000);
  expect(received().map(([, , bytes]) => bytes)).toEqual([1500, 1500, 60]);
});

it.each([
  ['a grant that is none', [{ page: 0, size: 60, ref: 500 }], [-1]],
  ['data beyond its page', [{ page: 0, offset: 4090, size: 60 }], [-1]],
  ['a packet shorter than its header', [{ page: 0, size: 13 }], [-1]],
  [
    'pieces that are more than the whole',
    [
      { page: 0, size: 60, flags: MORE },
      { page: 1, size: 61 },
    ],
    [-1, -1],
  ],
  ['a piece that never comes', [{ page: 0, size: 60, flags: MORE }], [-1]],
  ['extra information that never comes', [{ page: 0, size: 60, flags: EXTRA }], [-1]],
  [
    'segmentation, which it does not offer',
    [{ page: 0, size: 60, flags: EXTRA }, 0x0000_0001],
    [-1, 1],
  ],
  [
    'two pieces of extra information',
    [{ page: 0, size: 60, flags: EXTRA }, 0x0000_0102, 0x0000_0003],
    [-1, 1, 1],
  ],
  [
    'more slots than a packet may have',
    Array.from({ length: 19 }, (_, n) => ({
      page: 0,
      size: n ? 10 : 200,
      flags: n < 18 ? MORE : 0,
    })),
    new Array(19).fill(-1),
  ],
] as const)(
  'answers %s with an error, as many answers as slots, and goes on behind it',
  (_what, slots, statuses) => {
    const { transmit, give, later, received, answers } = pair();
    give(2);
    transmit(...slots);
    later();
    expect(answers()).toEqual(statuses);
    transmit({ page: 0, size: 60 });
    later();
    expect(answers()).toEqual([...statuses, 0]);
    expect(received()).toEqual([[0x200, 0, 60]]);
  },
);

/** Ethernet and IPv4 headers, UDP from port 1 to 2 with two bytes of data. */
const UDP = [
  ...[0, 22, 62, 0, 0, 2, 0, 22, 62, 0, 0, 1, 8, 0, 0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0],
  ...[10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 10, 0x14, 0x1e, 0xab, 0xcd],
];

it('says of a blank checksum that it is blank, and of a validated one that it is', () => {
  const { transmit, give, later, received } = pair();
  give(2);
  transmit({ page: 0, size: 60, flags: BLANK | VALIDATED });
  transmit({ page: 0, size: 60, flags: VALIDATED });
  later();
  expect(received().map(([, flags]) => flags)).toEqual([3, 1]);
});

it('fills a blank checksum for a front end that has turned them off', () => {
  const { transmit, give, later, received, fill, buffer } = pair({
    'feature-no-csum-offload': '1',
  });
  give(1);
  fill(0, 0, UDP);
  transmit({ page: 0, size: UDP.length, flags: BLANK | VALIDATED });
  later();
  expect(received()).toEqual([[0x200, 1, UDP.length]]);
  // RFC 768: pseudo-header, header and data.
  const sum = 0x0a00 + 1 + 0x0a00 + 2 + 17 + 10 + 1 + 2 + 10 + 0xabcd;
  expect(buffer(0, UDP.length).slice(40, 42)).toEqual([(~sum >> 8) & 0xff, ~sum & 0xff]);
});

it('lets go of rings and packets when the front end closes, and answers a buffer that is not granted with an error', () => {
  const { transmit, give, later, received, ram, two, domain, store } = pair();
  ram.setU32(two.rx + 64 + 4, 600);
  ram.setU32(two.rx, 1);
  two.given = 1;
  give(0);
  transmit({ page: 0, size: 60 });
  later();
  expect(received()).toEqual([[0, 0, -1]]);
  for (const card of [0, 1]) store.write(`/local/domain/1/device/vif/${card}/state`, '5');
  store.settle();
  expect(domain.state.grants.pins).toEqual([]);
});
