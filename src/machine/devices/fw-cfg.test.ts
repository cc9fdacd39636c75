// Tests of the firmware configuration device: bytes, directory, DMA with its errors, and addresses that are not RAM.

import { expect, test } from 'vitest';
import { GuestRam } from '../memory.ts';
import { BenchTop } from '../testing/bench-top.ts';
import { ascii, FW_CFG, FwCfgItems, fwCfg } from './fw-cfg.ts';

function build() {
  const ram = new GuestRam(new WebAssembly.Memory({ initial: 1 }), 0, 0x10000, () => {});
  const items = new FwCfgItems();
  const device = new BenchTop().plug(fwCfg, { items, ram: () => ram });
  const select = (item: number) => device.out(0, item, 0, 2);
  const take = (count: number) => Array.from({ length: count }, () => device.in(1));
  const big = (value: number) => {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, value);
    return view.getUint32(0, true);
  };
  const dma = (control: number, length: number, address: number) => {
    const view = new DataView(new ArrayBuffer(16));
    [control, length, Math.floor(address / 2 ** 32), address % 2 ** 32].forEach((value, i) => {
      view.setUint32(i * 4, value);
    });
    ram.write(0x100, new Uint8Array(view.buffer));
    device.out(0, 0, 1, 4);
    device.out(4, big(0x100), 1, 4);
    return big(ram.u32(0x100));
  };
  return { ram, items, device, select, take, big, dma };
}

test('the signature, the features, and zeros beyond the end of an item', () => {
  const { select, take } = build();
  select(FW_CFG.signature);
  expect(take(6)).toEqual([0x51, 0x45, 0x4d, 0x55, 0, 0]);
  select(FW_CFG.id);
  expect(take(1)).toEqual([3]);
  select(0x7777);
  expect(take(2)).toEqual([0, 0]);
});

test('the directory lists files by name, with sizes and items in big-endian', () => {
  const { items, select, take } = build();
  items.addFile('opt/b', Uint8Array.of(9, 8, 7));
  items.addFile('etc/a', Uint8Array.of(1));
  select(FW_CFG.fileDirectory);
  const bytes = Uint8Array.from(take(4 + 128));
  const view = new DataView(bytes.buffer);
  expect([view.getUint32(0), view.getUint32(4), view.getUint16(8)]).toEqual([2, 1, 0x20]);
  expect(bytes.subarray(12, 17)).toEqual(ascii('etc/a'));
  expect([view.getUint32(68), view.getUint16(72)]).toEqual([3, 0x21]);
  select(0x21);
  expect(take(3)).toEqual([9, 8, 7]);
});

test('DMA selects, skips and reads, and clears its control word', () => {
  const { items, ram, dma, device, big } = build();
  items.addFile('f', ascii('0123456789'));
  expect([big(device.in(0, 1, 4)), big(device.in(4, 1, 4))]).toEqual([0x51454d55, 0x20434647]);
  expect(dma((0x20 << 16) | 8 | 4, 3, 0)).toBe(0);
  expect(dma(2, 4, 0x200)).toBe(0);
  expect(ram.read(0x200, 4)).toEqual(ascii('3456'));
  expect(dma(2, 6, 0x200)).toBe(0);
  expect(ram.read(0x200, 6)).toEqual(Uint8Array.of(0x37, 0x38, 0x39, 0, 0, 0));
});

test('DMA beyond RAM and writes are errors; a structure outside RAM is nothing', () => {
  const { dma, device, big } = build();
  expect(dma(2, 0xffffffff, 0x200)).toBe(1);
  expect(dma(2, 4, 2 ** 40)).toBe(1);
  expect(dma(16, 4, 0x200)).toBe(1);
  device.out(0, 0xffffffff, 1, 4);
  device.out(4, big(0xfffffff0), 1, 4);
});
