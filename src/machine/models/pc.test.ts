// Tests of the whole pc: firmware of both kinds, and legacy interrupts. Abuse of its registers: tests/hostile.

import { expect, test } from 'vitest';
import { checksum } from '../acpi/bytes.ts';
import { acpiFiles } from '../acpi/loader.ts';
import { mpTables } from '../acpi/mp-table.ts';
import { acpiTables } from '../acpi/tables.ts';
import { memoryStore, openDisk } from '../disk.ts';
import { Machine } from '../machine.ts';
import { GuestRam } from '../memory.ts';
import { SteppedCpu } from '../testing/stepped-cpu.ts';
import { createPc } from './pc.ts';
import { loadRom, pcFacts, writePcFirmware } from './pc-firmware.ts';

const RAM_BYTES = 2 << 20;
const PROCESSOR = { signature: 0x00a00f11, features: 0x078bfbff };

function build(debug: (byte: number) => void = () => {}) {
  const disk = openDisk(memoryStore(16 << 10), 'copy-on-write', 'd');
  const pc = createPc({
    ramBytes: RAM_BYTES,
    epochSeconds: 1_175_000_000,
    transmit: () => {},
    debug,
    ideDisks: [disk, null, null, disk],
  });
  const cpu = new SteppedCpu();
  cpu.acknowledge = pc.border.acknowledgeInterrupt;
  const machine = new Machine(pc, cpu, { time: 'virtual' });
  const memory = new WebAssembly.Memory({ initial: RAM_BYTES >> 16 });
  const ram = new GuestRam(memory, 0, RAM_BYTES, () => {});
  return { pc, cpu, machine, ram };
}

const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);

test('direct boot finds PCI set up: links, IDE ports, power management, interrupt lines', () => {
  const { pc, ram } = build();
  expect(writePcFirmware(pc, ram, PROCESSOR)).toBe(0xe0000);
  const config = (fn: number, at: number, bytes: number) =>
    pc.pci.read((1 << 11) | (fn << 8) | (at & 0xfc), at & 3, bytes);
  expect(config(0, 0x60, 4)).toBe(0x0b0b0a0a);
  expect([pc.border.ioRead(0x1f7, 1), pc.border.ioRead(0x4d1, 1)]).toEqual([0x50, 0x0c]);
  expect([pc.border.ioRead(0x604, 2), config(3, 0x3c, 1)]).toEqual([1, 9]);
});

test('the tables name PCI, the HPET and the keyboard, and sum to zero', () => {
  const { pc } = build();
  const tables = acpiTables(pcFacts(pc, PROCESSOR));
  const names = tables.map(({ name }) => name);
  expect(names).toEqual(['RSDP', 'FACS', 'DSDT', 'FACP', 'APIC', 'HPET', 'RSDT', 'XSDT']);
  for (const { name, bytes } of tables) if (name !== 'FACS') expect(checksum(bytes)).toBe(0);
  const dsdt = text(tables[2]!.bytes);
  for (const name of ['PCI0', '_PRT', '\\_PIC', 'COM2', 'KBD_']) expect(dsdt).toContain(name);
  const [, mp] = mpTables(pcFacts(pc, PROCESSOR));
  expect(mp!.bytes.length).toBeLessThan(1024 - 16);
  expect(text(mp!.bytes)).toContain('PCI   ');
});

test('the loader script links its tables wherever they land, and the sums come out', () => {
  const { pc } = build();
  const [rsdp, blob, script] = acpiFiles(pcFacts(pc, PROCESSOR)).map(({ bytes }) => bytes.slice());
  const files: Record<string, { bytes: Uint8Array; at: number }> = {
    'etc/acpi/rsdp': { bytes: rsdp!, at: 0xf1230 },
    'etc/acpi/tables': { bytes: blob!, at: 0x1ffe000 },
  };
  const view = new DataView(script!.buffer);
  const name = (at: number) => text(script!.subarray(at, script!.indexOf(0, at)));
  for (let at = 0; at < script!.length; at += 128) {
    const command = view.getUint32(at, true);
    const file = files[name(at + 4)]!;
    if (command === 2) {
      const target = new DataView(file.bytes.buffer, view.getUint32(at + 116, true));
      target.setUint32(0, target.getUint32(0, true) + files[name(at + 60)]!.at, true);
    } else if (command === 3) {
      const [sum, from, length] = [60, 64, 68].map((offset) => view.getUint32(at + offset, true));
      file.bytes[sum!] = checksum(file.bytes, from, from! + length!);
    }
  }
  const tables = files['etc/acpi/tables']!;
  const xsdt = new DataView(rsdp!.buffer).getUint32(24, true) - tables.at;
  expect([checksum(rsdp!, 0, 20), checksum(rsdp!)]).toEqual([0, 0]);
  expect(text(tables.bytes.subarray(xsdt, xsdt + 4))).toBe('XSDT');
  const words = new DataView(tables.bytes.buffer);
  const found = [36, 44, 52].map((offset) => words.getUint32(xsdt + offset, true) - tables.at);
  expect(found.map((at) => text(tables.bytes.subarray(at, at + 4)))).toEqual([
    'FACP',
    'APIC',
    'HPET',
  ]);
  for (const at of [xsdt, ...found]) {
    expect(checksum(tables.bytes, at, at + words.getUint32(at + 4, true))).toBe(0);
  }
});

test('a ROM lies below 4 GiB, read-only, and its end below 1 MiB; other sizes are refused', () => {
  const { pc, ram } = build();
  const rom = Uint8Array.from({ length: 0x20000 }, (_, i) => i >> 9);
  loadRom(pc, ram, PROCESSOR, rom);
  const out = new Uint32Array(2);
  pc.border.mmioWrite(0xfffffff0, 4, 0, 0);
  pc.border.mmioRead(0xfffffff0, 4, out);
  expect([out[0], ram.u8(0xe0200), ram.u8(0xfffff)]).toEqual([0xffffffff, 1, 0xff]);
  expect(() => loadRom(build().pc, ram, PROCESSOR, new Uint8Array(1000))).toThrow(
    expect.objectContaining({ code: 'machine/rom-size' }),
  );
});

test('the debug ports: a console that says it is there, and an exit that ends the run with its status', () => {
  const log: number[] = [];
  const { pc, machine } = build((byte) => log.push(byte));
  expect(pc.border.ioRead(0x402, 1)).toBe(0xe9);
  pc.border.ioWrite(0x402, 1, 0x41);
  expect(log).toEqual([0x41]);
  pc.border.ioWrite(0xf4, 4, 0x10);
  expect([machine.run().kind, pc.exitStatus()]).toEqual(['off', 33]);
});

test('under legacy replacement the HPET has IRQ 0 and the PIT has none', () => {
  const { pc, cpu, machine } = build();
  const out8 = (port: number, value: number) => pc.border.ioWrite(port, 1, value);
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 4],
    [0x21, 1],
    [0x21, 0xfe],
    [0x43, 0x34],
    [0x40, 0xff],
    [0x40, 0x00],
  ] as const) {
    out8(port, value);
  }
  const store = (at: number, value: number) => pc.border.mmioWrite(0xfed00000 + at, 4, value, 0);
  store(0x100, 4);
  store(0x108, 100_000);
  store(0x10c, 0);
  store(0x10, 3);
  machine.run({ instructions: 2_000_000 });
  expect(cpu.taken).toEqual([{ vector: 0x20, retired: 1_000_000 }]);
});
