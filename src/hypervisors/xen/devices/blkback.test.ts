// A block device from the front end's side: handshake, requests, refusals, and rings that lie.

import { expect, it } from 'vitest';
import { memoryStore, openDisk } from '../../../machine/disk.ts';
import * as evtchn from '../abi/event-channel.ts';
import { GTF_permit_access } from '../abi/grant-table.ts';
import { channelAt, send } from '../events.ts';
import { grantFrame } from '../grant-frames.ts';
import { Store } from '../store/store.ts';
import { writeDomain } from '../store/toolstack.ts';
import { testDomain } from '../testing/domain.ts';
import { blockDevice } from './blkback.ts';
import * as blkif from './blkif.ts';

const FRONT = '/local/domain/1/device/vbd/51712';
const BACK = '/local/domain/0/backend/vbd/1/51712';
const RING = 0x20_0000;
const DATA = 0x20_1000;
const [RING_REF, DATA_REF] = [8, 9];
const ENTRY = 112;

function front(sectors = 16) {
  const test = testDomain();
  const { domain, platform } = test;
  const { ram, clock } = platform;
  const store = new Store(platform.snapshots);
  writeDomain(store, platform, { consolePort: 0, consoleFrame: 0, storePort: 0, storeFrame: 0 });
  const backing = memoryStore(sectors * 512);
  blockDevice(domain, store, openDisk(backing, 'read-write', 'memory'), 0).offer();
  const table = grantFrame(domain, 0);
  for (const [ref, page] of [
    [RING_REF, RING],
    [DATA_REF, DATA],
  ] as const) {
    ram.setU32(table + ref * 8, GTF_permit_access);
    ram.setU32(table + ref * 8 + 4, page / 4096);
  }
  test.call(32, 6, test.put(evtchn.evtchnAllocUnbound, { dom: 0x7ff0, remote_dom: 0 }));
  const { port } = test.get(evtchn.evtchnAllocUnbound);
  const state = (value: number, ref = RING_REF) => {
    store.write(`${FRONT}/ring-ref`, String(ref));
    store.write(`${FRONT}/event-channel`, String(port));
    store.write(`${FRONT}/state`, String(value));
    store.settle();
    return Number(store.read(`${BACK}/state`));
  };
  let sent = 0;
  const request = (
    operation: number,
    sector: number,
    first = 0,
    last = 0,
    ref = DATA_REF,
    count = 1,
  ) => {
    const at = RING + 64 + (sent % 32) * ENTRY;
    const bytes = new Uint8Array(ENTRY);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, operation);
    view.setUint8(1, count);
    view.setUint32(8, 0x77, true);
    view.setUint32(16, sector, true);
    view.setUint32(24, ref, true);
    view.setUint8(28, first);
    view.setUint8(29, last);
    ram.write(at, bytes);
    ram.setU32(RING, ++sent);
    send(domain, port, channelAt(domain, port)!);
    clock.skipTo(clock.now() + 10_000_000);
    clock.runDue(100);
    return ((ram.u16(at + 10) << 16) >> 16) as number;
  };
  return { ...test, store, state, request, ram, backing, port };
}

it('connects when the front end has given its ring, and says how large the disk is', () => {
  const { state, store } = front();
  expect([store.read(`${FRONT}/backend`), store.read(`${BACK}/state`)]).toEqual([BACK, '2']);
  // Toolstack and front ends name the device by these: GNU Mach panics without.
  expect([store.read(`${BACK}/dev`), store.read(`${BACK}/params`)]).toEqual(['xvda', 'xvda']);
  expect(state(3)).toBe(4);
  expect(store.read(`${BACK}/sectors`)).toBe('16');
});

it('does not connect to a ring that is not granted', () => {
  expect(front().state(3, 77)).toBe(2);
});

it('reads what was written, each at its time', () => {
  const { state, request, ram, backing } = front();
  state(3);
  ram.setU32(DATA + 512, 0x1234_5678);
  expect(request(blkif.BLKIF_OP_WRITE, 3, 1, 2)).toBe(0);
  const there = new Uint8Array(4);
  backing.read(3 * 512, there);
  expect([...there]).toEqual([0x78, 0x56, 0x34, 0x12]);
  expect(request(blkif.BLKIF_OP_READ, 3, 5, 6)).toBe(0);
  expect(ram.u32(DATA + 5 * 512)).toBe(0x1234_5678);
  expect(request(blkif.BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, 0)).toBe(0);
});

it.each([
  ['sectors beyond the end', [blkif.BLKIF_OP_READ, 15, 0, 1], -1],
  ['a segment that ends before it begins', [blkif.BLKIF_OP_READ, 0, 3, 2], -1],
  ['a segment beyond its frame', [blkif.BLKIF_OP_READ, 0, 0, 8], -1],
  ['a frame that is not granted', [blkif.BLKIF_OP_WRITE, 0, 0, 0, 99], -1],
  ['no segments', [blkif.BLKIF_OP_READ, 0, 0, 0, DATA_REF, 0], -1],
  ['too many segments', [blkif.BLKIF_OP_READ, 0, 0, 0, DATA_REF, 12], -1],
  ['an indirect request of nothing', [blkif.BLKIF_OP_INDIRECT, 0], -1],
  ['a discard', [blkif.BLKIF_OP_DISCARD, 0], -2],
  ['an operation that is none', [99, 0], -2],
] as const)('refuses %s', (_what, args, status) => {
  const { state, request } = front();
  state(3);
  const [operation, sector, ...rest] = args as readonly number[];
  expect(request(operation!, sector!, ...rest)).toBe(status);
});

it('takes nothing from a ring whose producer is out of reach, and lets go when the front end closes', () => {
  const { state, ram, domain, port, store } = front();
  state(3);
  ram.setU32(RING, 0x8000_0000);
  send(domain, port, channelAt(domain, port)!);
  expect(ram.u32(RING + 8)).toBe(0);
  expect(state(5)).toBe(5);
  expect(domain.state.grants.pins).toEqual([]);
  store.write(`${FRONT}/state`, '6');
  store.settle();
  expect(store.read(`${BACK}/state`)).toBe('6');
});
