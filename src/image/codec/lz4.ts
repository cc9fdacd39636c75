// The legacy frame format of LZ4, which kernels are packed in: a magic, then blocks of up to 8 MiB.
import { corrupt, tooLarge } from './corrupt.ts';
import { firstBuffer, grow } from './grow.ts';

// lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md for the blocks.
const MAGIC = 0x184c2102;
const BLOCK_PLAIN_BYTES = 8 << 20;
/** LZ4_compressBound of a whole block: a size beyond it begins something else. */
const BLOCK_PACKED_BYTES = BLOCK_PLAIN_BYTES + Math.floor(BLOCK_PLAIN_BYTES / 255) + 16;
const MIN_MATCH = 4;

export function lz4(bytes: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint32(0, true) !== MAGIC) {
    throw corrupt('lz4', 'it is not a legacy frame');
  }
  let out = firstBuffer(bytes.length, limit);
  let size = 0;
  for (let at = 4; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw corrupt('lz4', 'it ends within a block size');
    const packed = view.getUint32(at, true);
    at += 4;
    if (packed === MAGIC) continue; // Frames may follow each other.
    if (packed > BLOCK_PACKED_BYTES || at + packed > bytes.length) {
      throw corrupt('lz4', 'a block is cut off or has an absurd size');
    }
    const room = Math.min(limit, size + BLOCK_PLAIN_BYTES);
    if (out.length < room) out = grow(out, room, limit, 'lz4');
    const end = decodeBlock(bytes.subarray(at, at + packed), out, size, room);
    if (end < 0 && room === limit) throw tooLarge('lz4', limit);
    if (end < 0) throw corrupt('lz4', 'a block unpacks to more than 8 MiB');
    size = end;
    at += packed;
  }
  return out.subarray(0, size);
}

/** Where the block's output ends; -1 if it would pass `room`. */
function decodeBlock(input: Uint8Array, out: Uint8Array, start: number, room: number): number {
  const inputEnd = input.length;
  let at = 0;
  let to = start;
  while (at < inputEnd) {
    const token = input[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let byte = 255;
      while (byte === 255 && at < inputEnd) {
        byte = input[at++]!;
        literals += byte;
      }
    }
    if (at + literals > inputEnd) throw corrupt('lz4', 'a literal run is cut off');
    if (to + literals > room) return -1;
    if (literals > 32) out.set(input.subarray(at, at + literals), to);
    else for (let n = 0; n < literals; n++) out[to + n] = input[at + n]!;
    to += literals;
    at += literals;
    if (at === inputEnd) return to; // The last sequence has no match.
    if (at + 2 > inputEnd) throw corrupt('lz4', 'a match is cut off');
    const offset = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let length = token & 15;
    if (length === 15) {
      let byte = 255;
      while (byte === 255 && at < inputEnd) {
        byte = input[at++]!;
        length += byte;
      }
    }
    length += MIN_MATCH;
    let from = to - offset;
    if (offset === 0 || from < start) throw corrupt('lz4', 'a match reaches before its block');
    if (to + length > room) return -1;
    if (length > 64 && offset >= length) {
      out.copyWithin(to, from, from + length);
      to += length;
    } else for (const end = to + length; to < end; ) out[to++] = out[from++]!;
  }
  throw corrupt('lz4', 'a block ends within a sequence');
}
