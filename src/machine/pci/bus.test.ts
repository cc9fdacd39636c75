// Tests of PCI: mechanism 1, sizing and moving BARs, INTx through links, MSI and MSI-X, capabilities, snapshots.

import { expect, test } from 'vitest';
import { createPc, type Pc } from '../models/pc.ts';
import { SteppedCpu } from '../testing/stepped-cpu.ts';
import { definePciDevice, type PciPort } from './define.ts';

interface Seen {
  port: PciPort | null;
  readonly log: string[];
  readonly hooks: string[];
}

function sample(seen: Seen) {
  return definePciDevice({
    name: 'sample',
    ref: 'none',
    identity: { vendor: 0x1234, device: 0x5678, revision: 9, classCode: 0x00ff00, subsystem: 0x42 },
    bars: [
      { index: 0, kind: 'io', size: 32 },
      { index: 2, kind: 'memory32', size: 0x1000 },
      { index: 4, kind: 'memory64', size: 0x4000, prefetchable: true },
    ],
    capabilities: [{ id: 9, body: [8, 0, 0, 0, 0, 0], writable: [0, 0xff, 0x0f] }],
    interruptPin: 1,
    msix: { vectors: 3, bar: 1 },
    msi: 4,
    state: () => ({ value: 0 }),
    plug({ pci }: { state: { value: number }; pci: PciPort }) {
      seen.port = pci;
      const memory = (name: string) => ({
        memory: {
          read: (offset: number) => 0x1000 + offset,
          write: (offset: number, value: number) => seen.log.push(`${name}+${offset}=${value}`),
        },
      });
      return {
        bars: [
          {
            io: {
              read: (offset: number) => offset,
              write: (offset: number, value: number) => seen.log.push(`io+${offset}=${value}`),
            },
          },
          memory('m32'),
          memory('m64'),
        ],
        capabilities: [
          {
            beforeRead: (live: Uint8Array, offset: number) => {
              live[7] = 0x77;
              seen.hooks.push(`read ${offset}`);
            },
            written: (_live: Uint8Array, offset: number, bytes: number) => {
              seen.hooks.push(`written ${offset}+${bytes}`);
            },
          },
        ],
        face: {},
      };
    },
  });
}

function build() {
  const seen: Seen = { port: null, log: [], hooks: [] };
  const pc: Pc = createPc({
    ramBytes: 64 << 20,
    epochSeconds: 0,
    transmit: () => {},
    plug: (pci) => pci.add('sample', sample(seen), { slot: 3 }, {}),
  });
  const cpu = new SteppedCpu();
  cpu.acknowledge = pc.border.acknowledgeInterrupt;
  pc.connect(cpu);
  const { border } = pc;
  const select = (slot: number, fn: number, at: number) =>
    border.ioWrite(0xcf8, 4, (0x80000000 | (slot << 11) | (fn << 8) | (at & 0xfc)) >>> 0);
  const read = (at: number, bytes = 4, slot = 3, fn = 0) => {
    select(slot, fn, at);
    return border.ioRead(0xcfc + (at & 3), bytes);
  };
  const write = (at: number, value: number, bytes = 4, slot = 3, fn = 0) => {
    select(slot, fn, at);
    border.ioWrite(0xcfc + (at & 3), bytes, value);
  };
  const out = new Uint32Array(2);
  const load = (gpa: number) => {
    border.mmioRead(gpa, 4, out);
    return out[0]!;
  };
  const store = (gpa: number, value: number) => border.mmioWrite(gpa, 4, value, 0);
  /** Vectors that the processor takes now. */
  const vectors = () => {
    store(0xfee000f0, 0x1ff);
    cpu.taken.length = 0;
    cpu.run(4);
    store(0xfee000b0, 0);
    return cpu.taken.map(({ vector }) => vector);
  };
  return { pc, seen, border, read, write, load, store, vectors };
}

test('the configuration ports find what is there and ones where nothing is', () => {
  const { read, border } = build();
  expect(read(0, 4, 0)).toBe(0x12378086);
  expect(read(0, 4, 1)).toBe(0x70008086);
  expect([read(0x0e, 1, 1) & 0x80, read(0x0a, 2, 1, 1)]).toEqual([0x80, 0x0101]);
  expect([read(0), read(8), read(0x2c)]).toEqual([0x56781234, 0x00ff0009, 0x00420000]);
  expect([read(0, 4, 5), read(0, 2, 5)]).toEqual([0xffffffff, 0xffff]);
  border.ioWrite(0xcf8, 4, 0x80010000); // Bus 1.
  expect(border.ioRead(0xcfc, 4)).toBe(0xffffffff);
  border.ioWrite(0xcf8, 4, 0);
  expect(border.ioRead(0xcfc, 4)).toBe(0xffffffff);
});

test('the header is read-only but for the bits that the specification lets through', () => {
  const { read, write } = build();
  for (let at = 0; at < 0x40; at += 4) if (at < 0x10 || at > 0x27) write(at, 0xffffffff);
  expect([read(0), read(4, 2), read(8), read(0x34, 1)]).toEqual([
    0x56781234, 0x547, 0x00ff0009, 0x40,
  ]);
  expect([read(0x0c), read(0x3c, 2)]).toEqual([0x0000ffff, 0x01ff]);
});

test('BARs say their size and kind under all ones', () => {
  const { read, write } = build();
  for (let n = 0; n < 6; n++) write(0x10 + n * 4, 0xffffffff);
  expect([0, 1, 2, 3, 4, 5].map((n) => read(0x10 + n * 4))).toEqual([
    0xffffffe1, 0xfffff000, 0xfffff000, 0, 0xffffc00c, 0xffffffff,
  ]);
});

test('BARs answer where they are put while the command register lets them, and no more where they were', () => {
  const { write, border, load, store, seen } = build();
  write(0x10, 0xc000);
  write(0x18, 0xe0000000);
  write(0x20, 0x00000000);
  write(0x24, 0x00000002); // 8 GiB
  expect([border.ioRead(0xc005, 1), load(0xe0000000)]).toEqual([0xff, 0xffffffff]);
  write(4, 3, 2);
  expect([border.ioRead(0xc005, 1), load(0xe0000004), load(2 ** 33 + 8)]).toEqual([
    5, 0x1004, 0x1008,
  ]);
  border.ioWrite(0xc001, 1, 7);
  store(0xe0000010, 1);
  store(2 ** 33 + 4, 2);
  expect(seen.log).toEqual(['io+1=7', 'm32+16=1', 'm64+4=2']);
  write(0x18, 0xe8000000);
  expect([load(0xe0000004), load(0xe8000004)]).toEqual([0xffffffff, 0x1004]);
  write(4, 1, 2);
  expect(load(0xe8000004)).toBe(0xffffffff);
});

test('a BAR cannot be laid over the interrupt controllers or fixed ports', () => {
  const { write, border, load } = build();
  write(4, 3, 2);
  write(0x18, 0xfee00000);
  write(0x10, 0x60);
  expect(load(0xfee00030)).toBe(0x50014);
  expect(border.ioRead(0x64, 1) & 0x10).toBe(0x10);
});

test('INTx goes through the link register to its IRQ, and to its own pin of the I/O APIC', () => {
  const { pc, seen, write, read, store, load, vectors } = build();
  // Slot 3, INTA: PIRQ 2.
  write(0x62, 11, 1, 1);
  store(0xfec00000, 0x10 + 11 * 2);
  store(0xfec00010, 0x8041);
  seen.port!.setInterrupt(true);
  expect([read(6, 1) & 8, vectors()]).toEqual([8, [0x41]]);
  seen.port!.setInterrupt(false);
  expect(vectors()).toEqual([0x41]); // It was still asserted at the end of the first.
  expect(vectors()).toEqual([]);
  store(0xfec00000, 0x10 + 11 * 2);
  store(0xfec00010, 0x18041);
  store(0xfec00000, 0x10 + 18 * 2);
  store(0xfec00010, 0xa042); // level, active low
  expect(vectors()).toEqual([]);
  seen.port!.setInterrupt(true);
  expect(vectors()).toEqual([0x42]);
  write(4, 0x400, 2); // INTx disable
  expect(vectors()).toEqual([0x42]); // Sent once more at the end of the first, before that.
  expect([read(6, 1) & 8, load(0xfec00010) & 0x4000]).toEqual([8, 0]);
  expect(pc.unclaimed()).toEqual([]);
});

test('MSI sends its message with the number in the low bits, and silences the pin', () => {
  const { seen, read, write, vectors } = build();
  let at = read(0x34, 1);
  while (read(at, 1) !== 5) at = read(at + 1, 1);
  expect(read(at + 2, 2)).toBe(0x84);
  write(at + 4, 0xfee00000);
  write(at + 12, 0x50, 2);
  write(at + 2, 0x21, 2); // enabled, four messages
  seen.port!.interrupt(2);
  expect(vectors()).toEqual([]); // No bus master, no message.
  write(4, 4, 2);
  seen.port!.interrupt(2);
  expect([seen.port!.messagesEnabled(), vectors()]).toEqual([true, [0x52]]);
});

test('MSI-X sends the entry of its vector, pends under both masks, and sends when they are lifted', () => {
  const { seen, read, write, load, store, vectors } = build();
  let at = read(0x34, 1);
  while (read(at, 1) !== 0x11) at = read(at + 1, 1);
  expect([read(at + 2, 2), read(at + 4), read(at + 8)]).toEqual([2, 1, 0x801]);
  write(0x14, 0xe0000000);
  write(4, 6, 2);
  const table = 0xe0000000;
  expect(load(table + 12)).toBe(1);
  store(table + 16, 0xfee00000);
  store(table + 24, 0x61);
  write(at + 2, 0x8000, 2);
  seen.port!.interrupt(1);
  expect([vectors(), load(table + 0x800)]).toEqual([[], 2]);
  store(table + 28, 0);
  expect([vectors(), load(table + 0x800)]).toEqual([[0x61], 0]);
  write(at + 2, 0xc000, 2);
  seen.port!.interrupt(1);
  expect(vectors()).toEqual([]);
  write(at + 2, 0x8000, 2);
  expect(vectors()).toEqual([0x61]);
  seen.port!.interrupt(7); // There is no such entry.
  expect(vectors()).toEqual([]);
});

test('capability hooks see reads and writes; only writable bits change', () => {
  const { seen, read, write } = build();
  write(0x40, 0xffffffff);
  write(0x44, 0xffffffff);
  expect([read(0x40, 1), read(0x42, 2), read(0x44)]).toEqual([9, 0xff08, 0x7700000f]);
  expect(read(0x43, 1)).toBe(0xff);
  expect(seen.port!.capability(0)[7]).toBe(0x77);
  expect(seen.hooks.slice(0, 2)).toEqual(['written 0+4', 'written 4+4']);
});

test('the reset control register lives in the address port, for byte writes only', () => {
  const { border, pc } = build();
  border.ioWrite(0xcf8, 4, 0x80000600);
  expect(pc.power.state).toBe('running');
  border.ioWrite(0xcf9, 1, 0x06);
  expect(pc.power.state).toBe('reset');
  expect(border.ioRead(0xcf8, 4)).toBe(0x80000600);
});

test('the power management block and the IDE ports are where their functions put them', () => {
  const { border, write } = build();
  expect([border.ioRead(0x604, 2), border.ioRead(0x1f7, 1)]).toEqual([0xffff, 0xff]);
  write(0x40, 0x1001, 4, 1, 3);
  write(0x80, 1, 1, 1, 3);
  expect(border.ioRead(0x1004, 2)).toBe(1);
  write(0x40, 0x601, 4, 1, 3);
  expect([border.ioRead(0x1004, 2), border.ioRead(0x604, 2)]).toEqual([0xffff, 1]);
});

test('a restored snapshot has its BARs, links and messages where they were', () => {
  const one = build();
  one.write(0x18, 0xe0000000);
  one.write(4, 6, 2);
  one.write(0x62, 11, 1, 1);
  const other = build();
  other.pc.snapshots.restore(one.pc.snapshots.save());
  expect(other.load(0xe0000004)).toBe(0x1004);
  expect(other.pc.snapshots.bytes()).toEqual(one.pc.snapshots.bytes());
});
