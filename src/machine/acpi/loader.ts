// ACPI tables for a BIOS that places them itself: two files, and a script that links and sums them.

import { ByteList } from './bytes.ts';
import type { FirmwareFacts, PlacedTable } from './facts.ts';
import { acpiTables } from './tables.ts';

/** The loader's commands are records of 128 bytes (QEMU hw/acpi/bios-linker-loader.c, 7.2; SeaBIOS src/fw/romfile_loader.h). */
const RECORD_BYTES = 128;
const FILE_NAME_BYTES = 56;
const COMMAND = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
const ZONE = { high: 1, fSegment: 2 } as const;
const TABLES = 'etc/acpi/tables';
const RSDP = 'etc/acpi/rsdp';
const HEADER_CHECKSUM = 9;

export interface FirmwareFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export function acpiFiles(facts: FirmwareFacts): readonly FirmwareFile[] {
  const [rsdp, ...tables] = acpiTables(facts, 0) as [PlacedTable, ...PlacedTable[]];
  const last = tables.at(-1)!;
  const blob = new Uint8Array(last.address + last.bytes.length);
  for (const { address, bytes } of tables) blob.set(bytes, address);
  const root = rsdp.bytes.slice();
  const script = [
    allocate(RSDP, 16, ZONE.fSegment),
    allocate(TABLES, 64, ZONE.high),
    ...tables.flatMap((table) => link(blob, table)),
    addPointer(RSDP, 16, 4),
    addPointer(RSDP, 24, 8),
  ];
  root[8] = root[32] = 0;
  script.push(addChecksum(RSDP, 8, 0, 20), addChecksum(RSDP, 32, 0, 36));
  return [
    { name: RSDP, bytes: root },
    { name: TABLES, bytes: blob },
    { name: 'etc/table-loader', bytes: Uint8Array.from(script.flatMap((r) => [...r])) },
  ];
}

/** Pointers of one table, and its sum after that. In the blob they are offsets from its start. */
function link(blob: Uint8Array, { name, address, bytes }: PlacedTable): readonly Uint8Array[] {
  const pointers = pointersOf(name, bytes);
  if (pointers.length === 0) return [];
  blob[address + HEADER_CHECKSUM] = 0;
  return [
    ...pointers.map(({ at, size }) => addPointer(TABLES, address + at, size)),
    addChecksum(TABLES, address + HEADER_CHECKSUM, address, bytes.length),
  ];
}

/** ACPI 6.4 tables 5.9 (FACS, DSDT, X_DSDT), 5.7 and 5.8 (entries). */
function pointersOf(name: string, bytes: Uint8Array): readonly { at: number; size: 4 | 8 }[] {
  const entries = (size: 4 | 8) =>
    Array.from({ length: (bytes.length - 36) / size }, (_, i) => ({ at: 36 + i * size, size }));
  switch (name) {
    case 'FACP':
      return [
        { at: 36, size: 4 },
        { at: 40, size: 4 },
        { at: 140, size: 8 },
      ];
    case 'RSDT':
      return entries(4);
    case 'XSDT':
      return entries(8);
    default:
      return [];
  }
}

function fileName(name: string): Uint8Array {
  const bytes = new Uint8Array(FILE_NAME_BYTES);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}

function record(command: number, body: ByteList): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  bytes.set(new ByteList().u32(command).bytes(body.done()).done());
  return bytes;
}

function allocate(file: string, align: number, zone: number): Uint8Array {
  return record(COMMAND.allocate, new ByteList().bytes(fileName(file)).u32(align).u8(zone));
}

/** Adds the address of the tables to what lies at `at` of `file`. */
function addPointer(file: string, at: number, size: number): Uint8Array {
  const body = new ByteList().bytes(fileName(file)).bytes(fileName(TABLES)).u32(at).u8(size);
  return record(COMMAND.addPointer, body);
}

function addChecksum(file: string, at: number, from: number, length: number): Uint8Array {
  const body = new ByteList().bytes(fileName(file)).u32(at).u32(from).u32(length);
  return record(COMMAND.addChecksum, body);
}
