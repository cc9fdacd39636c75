// Small kernels, packages and archives made by hand, for the tests of images and of the package cache.
import { gzipSync } from 'node:zlib';

export interface ElfParts {
  readonly bits: 32 | 64;
  /** Of every segment (PF_R, PF_W, PF_X); none if not given. */
  readonly flags?: number;
  readonly loads: readonly { paddr: number; bytes: Uint8Array; memBytes: number }[];
  readonly notes?: readonly { name: string; type: number; desc: Uint8Array }[];
}

/** An x86 ELF file with these segments, laid out as gABI chapters 4 and 5 have it. */
export function makeElf({ bits, flags = 0, loads, notes = [] }: ElfParts): Uint8Array {
  const wide = bits === 64;
  const noteBytes = Buffer.concat(notes.map(makeNote));
  const segments = loads.map(({ paddr, bytes, memBytes }) => ({ type: 1, paddr, bytes, memBytes }));
  if (notes.length > 0)
    segments.push({ type: 4, paddr: 0, bytes: noteBytes, memBytes: noteBytes.length });
  const headerBytes = wide ? 64 : 52;
  const entryBytes = wide ? 56 : 32;
  let at = headerBytes + entryBytes * segments.length;
  const out = Buffer.alloc(at + segments.reduce((sum, { bytes }) => sum + bytes.length, 0));
  out.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  out.writeUInt16LE(2, 16);
  out.writeUInt16LE(wide ? 62 : 3, 18);
  out.writeUInt32LE(0x1000000, 24);
  if (wide) out.writeBigUInt64LE(64n, 32);
  else out.writeUInt32LE(52, 28);
  out.writeUInt16LE(entryBytes, wide ? 54 : 42);
  out.writeUInt16LE(segments.length, wide ? 56 : 44);
  segments.forEach(({ type, paddr, bytes, memBytes }, index) => {
    const ph = headerBytes + entryBytes * index;
    out.writeUInt32LE(type, ph);
    out.writeUInt32LE(flags, ph + (wide ? 4 : 24));
    const fields = [at, paddr, paddr, bytes.length, memBytes];
    if (wide)
      fields.forEach((field, n) => {
        out.writeBigUInt64LE(BigInt(field), ph + 8 + 8 * n);
      });
    else
      fields.forEach((field, n) => {
        out.writeUInt32LE(field, ph + 4 + 4 * n);
      });
    out.set(bytes, at);
    at += bytes.length;
  });
  return out;
}

function makeNote({ name, type, desc }: { name: string; type: number; desc: Uint8Array }): Buffer {
  const pad = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  const header = Buffer.alloc(12);
  header.writeUInt32LE(name.length + 1, 0);
  header.writeUInt32LE(desc.length, 4);
  header.writeUInt32LE(type, 8);
  return Buffer.concat([header, pad(Buffer.from(`${name}\0`)), pad(desc)]);
}

export const PVH_NOTE = { name: 'Xen', type: 18, desc: Uint8Array.of(0x50, 0x08, 0x00, 0x01) };

/** A 64-bit vmlinux of a few hundred bytes with a PVH entry. */
export function makeVmlinux(extra = ''): Uint8Array {
  return makeElf({
    bits: 64,
    loads: [
      { paddr: 0x2000000, bytes: Buffer.from('data'), memBytes: 0x1000 },
      {
        paddr: 0x1000000,
        bytes: Buffer.from(
          `Linux version %s\0Linux version 6.1.0-test (gcc)\n\0${extra}`,
          'latin1',
        ),
        memBytes: 0x400,
      },
    ],
    notes: [PVH_NOTE],
  });
}

/** A bzImage of protocol 2.15 around an already packed payload. */
export function makeBzImage(payload: Uint8Array): Uint8Array {
  const out = Buffer.alloc(1024 + 0x300 + payload.length);
  out[0x1f1] = 1;
  out.writeUInt16LE(0xaa55, 0x1fe);
  out.writeUInt16LE(0x6aeb, 0x200);
  out.write('HdrS', 0x202);
  out.writeUInt16LE(0x020f, 0x206);
  out.writeUInt16LE(0x80, 0x20e);
  out.writeUInt32LE(0x7fffffff, 0x22c);
  out.writeUInt16LE(0x7f, 0x236);
  out.writeUInt32LE(2047, 0x238);
  out.writeUInt32LE(0x300, 0x248);
  out.writeUInt32LE(payload.length, 0x24c);
  out.writeBigUInt64LE(0x1000000n, 0x258);
  out.writeUInt32LE(0x2000, 0x260);
  out.write('6.1.0-test (build) #1\0', 0x280);
  out.set(payload, 1024 + 0x300);
  return out;
}

/** A ustar archive of regular files. */
export function makeTar(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const parts = Object.entries(files).flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc(-bytes.length & 511)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export function makeDeb(control: string, files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const member = (name: string, bytes: Uint8Array) => {
    const fields = [
      name.padEnd(16),
      '0'.padEnd(12),
      '0     0     100644  ',
      String(bytes.length).padEnd(10),
    ];
    return Buffer.concat([
      Buffer.from(`${fields.join('')}\`\n`),
      bytes,
      Buffer.from('\n'.repeat(bytes.length & 1)),
    ]);
  };
  return Buffer.concat([
    Buffer.from('!<arch>\n'),
    member('debian-binary', Buffer.from('2.0\n')),
    member('control.tar.gz', gzipSync(makeTar({ './control': Buffer.from(control) }))),
    member('data.tar.gz', gzipSync(makeTar(files))),
  ]);
}
