// The container that lzop writes, with its header and per-block checksums, around LZO1X.
import { corrupt, tooLarge } from './corrupt.ts';
import { adler32, crc32 } from './crc.ts';
import { firstBuffer, grow } from './grow.ts';
import { lzo1x } from './lzo1x.ts';

// lzop 1.04 src/conf.h and src/lzop.c; all numbers are big-endian.
const MAGIC_BYTES = 9;
const F_ADLER32_D = 0x1;
const F_ADLER32_C = 0x2;
const F_H_EXTRA_FIELD = 0x40;
const F_CRC32_D = 0x100;
const F_CRC32_C = 0x200;
const F_H_FILTER = 0x800;
const F_H_CRC32 = 0x1000;
/** Since this version the header has a level, the version needed and the high half of the time. */
const VERSION_0940 = 0x0940;
const BLOCK_BYTES_MAX = 64 << 20;

/** Sequential big-endian reads that refuse to pass the end. */
function fields(bytes: Uint8Array) {
  let at = MAGIC_BYTES;
  const take = (count: number): number => {
    if (at + count > bytes.length) throw corrupt('lzo', 'it ends too early');
    let value = 0;
    for (let n = 0; n < count; n++) value = value * 256 + bytes[at++]!;
    return value;
  };
  return {
    take,
    at: () => at,
    block(count: number): Uint8Array {
      if (at + count > bytes.length) throw corrupt('lzo', 'it ends too early');
      at += count;
      return bytes.subarray(at - count, at);
    },
  };
}

export function lzop(bytes: Uint8Array, limit: number): Uint8Array {
  const f = fields(bytes);
  const flags = readHeader(bytes, f);
  let out = firstBuffer(bytes.length, limit);
  let size = 0;
  for (;;) {
    const plainBytes = f.take(4);
    if (plainBytes === 0) break;
    if (plainBytes > BLOCK_BYTES_MAX) throw corrupt('lzo', 'a block has an absurd size');
    if (size + plainBytes > limit) throw tooLarge('lzo', limit);
    const packedBytes = f.take(4);
    if (packedBytes > plainBytes) throw corrupt('lzo', 'a block has an absurd size');
    const stored = packedBytes === plainBytes;
    const plainAdler = flags & F_ADLER32_D ? f.take(4) : null;
    const plainCrc = flags & F_CRC32_D ? f.take(4) : null;
    const packedAdler = !stored && flags & F_ADLER32_C ? f.take(4) : null;
    const packedCrc = !stored && flags & F_CRC32_C ? f.take(4) : null;
    const packed = f.block(packedBytes);
    verify(packed, packedAdler, packedCrc);
    if (out.length < size + plainBytes) out = grow(out, size + plainBytes, limit, 'lzo');
    const plain = out.subarray(size, size + plainBytes);
    if (stored) plain.set(packed);
    else if (lzo1x(packed, plain) !== plainBytes)
      throw corrupt('lzo', 'a block is not as long as it says');
    verify(plain, plainAdler, plainCrc);
    size += plainBytes;
  }
  if (f.at() !== bytes.length) throw corrupt('lzo', 'other data follows it');
  return out.subarray(0, size);
}

function readHeader(bytes: Uint8Array, f: ReturnType<typeof fields>): number {
  const version = f.take(2);
  const modern = version >= VERSION_0940;
  f.take(modern ? 4 : 2); // Library version, version needed.
  const method = f.take(1);
  if (method < 1 || method > 3) throw corrupt('lzo', `its method ${method} is not LZO1X`);
  if (modern) f.take(1);
  const flags = f.take(4);
  if (flags & F_H_FILTER) throw corrupt('lzo', 'it uses a filter');
  f.take(modern ? 12 : 8); // Mode, time.
  f.block(f.take(1)); // Name.
  const covered = bytes.subarray(MAGIC_BYTES, f.at());
  const sum = flags & F_H_CRC32 ? crc32(covered) : adler32(covered);
  if (f.take(4) !== sum) throw corrupt('lzo', 'the checksum of its header does not match');
  if (flags & F_H_EXTRA_FIELD) {
    f.block(f.take(4));
    f.take(4);
  }
  return flags;
}

function verify(bytes: Uint8Array, adler: number | null, crc: number | null): void {
  if ((adler !== null && adler !== adler32(bytes)) || (crc !== null && crc !== crc32(bytes))) {
    throw corrupt('lzo', 'the checksum of a block does not match');
  }
}
