// The .lzma format ("LZMA_alone"): thirteen bytes of header and one LZMA stream.
import { corrupt, tooLarge } from './corrupt.ts';
import { declaredBuffer, firstBuffer, grow } from './grow.ts';
import {
  decodeUntil,
  type LzmaDecoder,
  lzmaDecoder,
  resetState,
  setProperties,
  startRangeDecoder,
} from './lzma-core.ts';

const HEADER_BYTES = 13;
/** The longest match: what one step may add beyond the place where it began. */
const MATCH_MAX = 273;

export function lzma(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length < HEADER_BYTES) throw corrupt('lzma', 'it ends within its header');
  const d = lzmaDecoder('lzma', bytes);
  if (!setProperties(d, bytes[0]!)) throw corrupt('lzma', 'its properties are out of range');
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const size = header.getBigUint64(5, true);
  d.pos = HEADER_BYTES;
  resetState(d);
  startRangeDecoder(d);
  if (size === 0xffff_ffff_ffff_ffffn) decodeToEndMark(d, limit);
  else decodeSized(d, Number(size), limit);
  if (d.pos < d.end) throw corrupt('lzma', 'other data follows it');
  return d.out.subarray(0, d.outPos);
}

function decodeSized(d: LzmaDecoder, size: number, limit: number): void {
  if (size > limit) throw tooLarge('lzma', limit);
  d.out = declaredBuffer(size, d.input.length, limit);
  while (d.out.length < size) {
    if (!decodeUntil(d, d.out.length - MATCH_MAX, d.out.length)) break;
    d.out = grow(d.out, Math.min(size, d.out.length + 2 * MATCH_MAX), size, 'lzma');
  }
  if (d.out.length < size || !decodeUntil(d, size, size))
    throw corrupt('lzma', 'it ends before its size');
  // An end mark may follow even so (LZMA specification, "Stream").
  if (d.pos < d.end && decodeUntil(d, size + 1, size))
    throw corrupt('lzma', 'it holds more than it says');
}

function decodeToEndMark(d: LzmaDecoder, limit: number): void {
  d.out = firstBuffer(d.input.length, limit + MATCH_MAX);
  while (decodeUntil(d, d.out.length - MATCH_MAX, d.out.length)) {
    if (d.outPos > limit) throw tooLarge('lzma', limit);
    d.out = grow(d.out, d.out.length + 2 * MATCH_MAX, limit + 4 * MATCH_MAX, 'lzma');
  }
  if (d.outPos > limit) throw tooLarge('lzma', limit);
}
