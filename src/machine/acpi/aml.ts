// A small emitter of ACPI machine language: names, numbers, packages, devices and their resources.

import { bug } from '../../base/errors.ts';
import { ByteList } from './bytes.ts';

/** ACPI 6.4 20.2: opcodes. */
const OP = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  dword: 0x0c,
  string: 0x0d,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  method: 0x14,
  arg0: 0x68,
  store: 0x70,
  if: 0xa0,
  return: 0xa4,
  extended: 0x5b,
  device: 0x82,
} as const;

export type Aml = Uint8Array;

export function scope(path: string, ...body: readonly Aml[]): Aml {
  return sized([OP.scope], join(nameString(path), ...body));
}

export function device(name: string, ...body: readonly Aml[]): Aml {
  return sized([OP.extended, OP.device], join(nameString(name), ...body));
}

export function name(path: string, value: Aml): Aml {
  return join(Uint8Array.of(OP.name), nameString(path), value);
}

/** `args` and the flag "not serialized" (ACPI 6.4 20.2.5.2, MethodFlags). */
export function method(path: string, args: number, ...body: readonly Aml[]): Aml {
  return sized([OP.method], join(nameString(path), Uint8Array.of(args), ...body));
}

/** Stores the method's first argument in a named object. */
export function storeArg0(path: string): Aml {
  return join(Uint8Array.of(OP.store, OP.arg0), nameString(path));
}

export function ifThen(condition: string, ...body: readonly Aml[]): Aml {
  return sized([OP.if], join(nameString(condition), ...body));
}

export function returnNamed(path: string): Aml {
  return join(Uint8Array.of(OP.return), nameString(path));
}

export function integer(value: number): Aml {
  const out = new ByteList();
  if (value === 0) return out.u8(OP.zero).done();
  if (value === 1) return out.u8(OP.one).done();
  if (value < 0x100) return out.u8(OP.byte, value).done();
  if (value < 0x10000) return out.u8(OP.word).u16(value).done();
  return out.u8(OP.dword).u32(value).done();
}

export function text(value: string): Aml {
  return new ByteList().u8(OP.string).text(value, value.length).u8(0).done();
}

export function pack(...elements: readonly Aml[]): Aml {
  return sized([OP.package], join(Uint8Array.of(elements.length), ...elements));
}

/** "PNP0501" as the compressed number of ACPI 6.4 19.6.36: three letters of 5 bits, four hex digits, big-endian. */
export function eisaId(id: string): Aml {
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return new ByteList().u8(OP.dword, vendor >> 8, vendor, product >> 8, product).done();
}

/** A `_CRS` buffer: small resource descriptors and an end tag (ACPI 6.4 6.4.2). */
export function resources(...descriptors: readonly Aml[]): Aml {
  const body = join(...descriptors, Uint8Array.of(0x79, 0)); // End tag; checksum 0 means "none".
  return sized([OP.buffer], join(integer(body.length), body));
}

/** Fixed ports with 16-bit decode. */
export function ioPorts(first: number, length: number): Aml {
  return new ByteList().u8(0x47, 1).u16(first).u16(first).u8(1, length).done();
}

/** An ISA interrupt: edge-triggered, active high, not shared. */
export function isaIrq(irq: number): Aml {
  return new ByteList()
    .u8(0x22)
    .u16(1 << irq)
    .done();
}

/** Fixed 32-bit memory, writable. */
export function fixedMemory(base: number, length: number): Aml {
  return new ByteList().u8(0x86).u16(9).u8(1).u32(base).u32(length).done();
}

/** Address space descriptors of a bridge (ACPI 6.4 6.4.3.5): a resource producer with fixed ends. */
const PRODUCER = 0x0c;
const SPACE = { memory: 0, io: 1, bus: 2 } as const;

export function busNumbers(first: number, last: number): Aml {
  return wordSpace(SPACE.bus, 0, first, last);
}

/** Ports, the whole range for ISA and others alike. */
export function portRange(first: number, last: number): Aml {
  return wordSpace(SPACE.io, 3, first, last);
}

/** Writable, not cached. */
export function memoryRange(first: number, last: number): Aml {
  return new ByteList()
    .u8(0x87)
    .u16(23)
    .u8(SPACE.memory, PRODUCER, 1)
    .u32(0)
    .u32(first)
    .u32(last)
    .u32(0)
    .u32(last - first + 1)
    .done();
}

function wordSpace(space: number, flags: number, first: number, last: number): Aml {
  return new ByteList()
    .u8(0x88)
    .u16(13)
    .u8(space, PRODUCER, flags)
    .u16(0)
    .u16(first)
    .u16(last)
    .u16(0)
    .u16(last - first + 1)
    .done();
}

export function join(...parts: readonly ArrayLike<number>[]): Aml {
  const out = new ByteList();
  for (const part of parts) out.bytes(part);
  return out.done();
}

/** ACPI 6.4 20.2.2: an optional root prefix, then one segment of four characters. */
function nameString(path: string): Aml {
  const rooted = path.startsWith('\\');
  const segment = rooted ? path.slice(1) : path;
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) bug(`AML name ${path}`);
  const out = new ByteList();
  if (rooted) out.u8(0x5c);
  return out.text(segment.padEnd(4, '_'), 4).done();
}

/** ACPI 6.4 20.2.4: PkgLength counts itself. */
function sized(opcode: readonly number[], body: Aml): Aml {
  const out = new ByteList().bytes(opcode);
  const short = body.length + 1;
  if (short < 0x40) return out.u8(short).bytes(body).done();
  const long = body.length + 2;
  if (long < 0x1000)
    return out
      .u8(0x40 | (long & 15), long >> 4)
      .bytes(body)
      .done();
  const longest = body.length + 3;
  if (longest >= 0x100000) bug('AML package too long');
  return out
    .u8(0x80 | (longest & 15), longest >> 4, longest >> 12)
    .bytes(body)
    .done();
}
