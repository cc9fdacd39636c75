// Small kernels, packages and archives made by hand, for the tests of images and of the package cache.
import { gzipSync } from 'node:zlib';
import { elfFile } from '../../src/image/testing/elf-file.ts';

export const PVH_NOTE = { name: 'Xen', type: 18, desc: Uint8Array.of(0x50, 0x08, 0x00, 0x01) };

/** A 64-bit vmlinux of a few hundred bytes with a PVH entry. */
export function makeVmlinux(extra = ''): Uint8Array {
  return elfFile({
    bits: 64,
    entry: 0x1000000,
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
