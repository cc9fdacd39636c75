// Tests of the firmware tables: checksums, links, offsets, and the AML by bytes known from iasl.

import { expect, test } from 'vitest';
import { GuestRam } from '../memory.ts';
import { microvmFacts, writeMicrovmFirmware } from '../models/microvm-firmware.ts';
import { eisaId, integer, name, pack, resources, scope } from './aml.ts';
import { checksum } from './bytes.ts';
import { MP_ADDRESS, mpTables } from './mp-table.ts';
import { acpiTables, RSDP_ADDRESS } from './tables.ts';

const facts = microvmFacts({ signature: 0x00a00f11, features: 0x078bfbff });
const tables = acpiTables(facts);

function table(wanted: string) {
  const found = tables.find((t) => t.name === wanted)!;
  return { ...found, view: new DataView(found.bytes.buffer) };
}

function ascii(bytes: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

test('every table sums to zero and says its own length', () => {
  for (const wanted of ['DSDT', 'FACP', 'APIC', 'RSDT', 'XSDT']) {
    const { bytes, view } = table(wanted);
    expect(checksum(bytes), wanted).toBe(0);
    expect([ascii(bytes, 0, 4), view.getUint32(4, true)]).toEqual([wanted, bytes.length]);
  }
  const { bytes } = table('RSDP');
  expect([checksum(bytes, 0, 20), checksum(bytes), ascii(bytes, 0, 8)]).toEqual([0, 0, 'RSD PTR ']);
});

test('the tables point at each other, do not overlap, and lie below 1 MiB', () => {
  const at = (wanted: string) => table(wanted).address;
  expect(table('RSDP').view.getUint32(16, true)).toBe(at('RSDT'));
  expect(table('RSDP').view.getUint32(24, true)).toBe(at('XSDT'));
  const { view: rsdt } = table('RSDT');
  expect([rsdt.getUint32(36, true), rsdt.getUint32(40, true)]).toEqual([at('FACP'), at('APIC')]);
  const { view: xsdt } = table('XSDT');
  expect([xsdt.getBigUint64(36, true), xsdt.getBigUint64(44, true)]).toEqual([
    BigInt(at('FACP')),
    BigInt(at('APIC')),
  ]);
  const { view: fadt } = table('FACP');
  expect([fadt.getUint32(36, true), fadt.getUint32(40, true), fadt.getUint32(140, true)]).toEqual([
    at('FACS'),
    at('DSDT'),
    at('DSDT'),
  ]);
  expect(at('FACS') % 64).toBe(0);
  const sorted = [...tables].sort((a, b) => a.address - b.address);
  sorted.forEach((t, i) => {
    expect(t.address + t.bytes.length).toBeLessThanOrEqual(sorted[i + 1]?.address ?? 0x100000);
  });
});

test('the FADT has its fields at the offsets of ACPI 6.4 table 5.9', () => {
  const { view, bytes } = table('FACP');
  expect(bytes.length).toBe(276);
  expect(view.getUint16(46, true)).toBe(9); // SCI_INT
  expect([56, 64, 76].map((at) => view.getUint32(at, true))).toEqual([0x600, 0x604, 0x608]);
  expect([88, 89, 91, 108].map((at) => bytes[at])).toEqual([4, 2, 4, 0x32]);
  expect(view.getUint16(109, true)).toBe(5); // boot architecture
  const flags = view.getUint32(112, true);
  expect(flags & (1 << 20)).toBe(0); // not hardware-reduced
  expect(flags & ((1 << 8) | (1 << 10))).toBe((1 << 8) | (1 << 10));
  expect([...bytes.subarray(116, 129)]).toEqual([1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 6]);
  expect([148, 172, 208].map((at) => view.getUint32(at + 4, true))).toEqual([0x600, 0x604, 0x608]);
});

test('the MADT lists the processor, the I/O APIC, both overrides and the NMI', () => {
  const { bytes, view } = table('APIC');
  expect([view.getUint32(36, true), view.getUint32(40, true)]).toEqual([0xfee00000, 1]);
  const entries: number[][] = [];
  for (let at = 44; at < bytes.length; at += bytes[at + 1]!)
    entries.push([...bytes.subarray(at, at + bytes[at + 1]!)]);
  expect(entries).toEqual([
    [0, 8, 0, 0, 1, 0, 0, 0],
    [1, 12, 1, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
    [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
    [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
    [4, 6, 0xff, 0, 0, 1],
  ]);
});

test('AML terms are encoded as iasl encodes them', () => {
  expect([...name('\\_S5', pack(integer(5), integer(5), integer(0), integer(0)))]).toEqual([
    0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00,
  ]);
  expect([...eisaId('PNP0501')]).toEqual([0x0c, 0x41, 0xd0, 0x05, 0x01]);
  expect([...integer(0x1234)]).toEqual([0x0b, 0x34, 0x12]);
  expect([...resources()]).toEqual([0x11, 0x05, 0x0a, 0x02, 0x79, 0x00]);
  const big = scope('\\_SB', new Uint8Array(5000));
  expect([...big.subarray(0, 4)]).toEqual([
    0x10,
    0x80 | (5008 & 15),
    (5008 >> 4) & 0xff,
    5008 >> 12,
  ]);
  expect(big.length).toBe(5009);
});

test('a name that is no AML name is a bug', () => {
  expect(() => name('toolong', integer(0))).toThrow(/AML name/);
});

test('the MP table sums to zero, counts its entries and routes IRQ 0 to pin 2', () => {
  const [pointer, table] = mpTables(facts);
  expect(pointer!.address).toBe(0x9fc00);
  expect([checksum(pointer!.bytes), checksum(table!.bytes)]).toEqual([0, 0]);
  const view = new DataView(table!.bytes.buffer);
  expect([view.getUint16(4, true), view.getUint32(36, true)]).toEqual([
    table!.bytes.length,
    0xfee00000,
  ]);
  const routes: number[][] = [];
  let count = 0;
  for (let at = 44; at < table!.bytes.length; at += table!.bytes[at] === 0 ? 20 : 8, count++) {
    if (table!.bytes[at] === 3) routes.push([...table!.bytes.subarray(at, at + 8)]);
  }
  expect(count).toBe(view.getUint16(34, true));
  expect(routes[0]).toEqual([3, 0, 0, 0, 0, 0, 1, 2]);
  expect(routes).toHaveLength(16);
});

test('the tables are written to guest memory where a kernel searches for them', () => {
  const ram = new GuestRam(new WebAssembly.Memory({ initial: 32 }), 0, 0x200000, () => {});
  expect(writeMicrovmFirmware(ram, { signature: 1, features: 2 })).toBe(RSDP_ADDRESS);
  expect(ascii(ram.view(RSDP_ADDRESS, 8)!, 0, 8)).toBe('RSD PTR ');
  expect(ascii(ram.view(MP_ADDRESS, 4)!, 0, 4)).toBe('_MP_');
});
