// The xz container: streams of blocks, each LZMA2 and perhaps the x86 filter, with checks over everything.
import { InputError } from '../../base/errors.ts';
import { sha256 } from '../../base/sha256.ts';
import { hasMagic } from '../bytes.ts';
import { undoBcjX86 } from './bcj-x86.ts';
import { corrupt, tooLarge } from './corrupt.ts';
import { crc32, crc64 } from './crc.ts';
import { declaredBuffer, grow } from './grow.ts';
import {
  decodeUntil,
  finishedCleanly,
  type LzmaDecoder,
  lzmaDecoder,
  resetState,
  setProperties,
  startRangeDecoder,
} from './lzma-core.ts';

// xz-file-format.txt 1.1.0, sections 2 to 5.
const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = [0x59, 0x5a];
const STREAM_HEADER_BYTES = 12;
const FILTER_BCJ_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
/** Bytes of the check field by check id (2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;
const CHECK_SHA256 = 10;
/** Bytes that a prefix is decoded beyond its end, so that the x86 filter has seen all that bears on it. */
const FILTER_MARGIN = 16;

/** All streams of the file, every check verified. */
export function xz(bytes: Uint8Array, limit: number): Uint8Array {
  return decodeStreams(bytes, limit, Number.POSITIVE_INFINITY);
}

/** At least the first `length` bytes (fewer if there are no more), without decoding what follows; not every check is reached. */
export function xzPrefix(bytes: Uint8Array, length: number, limit: number): Uint8Array {
  return decodeStreams(bytes, limit, length + FILTER_MARGIN).subarray(0, length);
}

interface Block {
  readonly unpaddedBytes: number;
  readonly plainBytes: number;
}

function decodeStreams(bytes: Uint8Array, limit: number, enough: number): Uint8Array {
  const d = lzmaDecoder('xz', bytes);
  // One allocation that is right, when the index at the end can be read; it is checked again after the blocks.
  const declared = plainBytesByIndex(bytes) ?? bytes.length * 4;
  d.out = declaredBuffer(declared, bytes.length, Math.min(limit, enough + 0x200000));
  do {
    if (!decodeStream(d, limit, enough)) break;
    while (d.pos + 4 <= bytes.length && hasMagic(bytes, [0, 0, 0, 0], d.pos)) d.pos += 4; // 2.2
  } while (d.pos < bytes.length);
  return d.out.subarray(0, d.outPos);
}

/** False if it stopped early because `enough` is there. */
function decodeStream(d: LzmaDecoder, limit: number, enough: number): boolean {
  const { input } = d;
  const start = d.pos;
  if (!hasMagic(input, HEADER_MAGIC, start)) throw corrupt('xz', 'it does not begin as xz does');
  const check = input[start + 7]! & 15;
  if (input[start + 6] !== 0 || input[start + 7]! > 15 || !crcMatches(input, start + 6, 2)) {
    throw corrupt('xz', 'its stream header is broken');
  }
  d.pos = start + STREAM_HEADER_BYTES;
  const blocks: Block[] = [];
  while (d.pos < input.length && input[d.pos] !== 0) {
    const block = decodeBlock(d, check, limit, enough);
    if (!block) return false;
    blocks.push(block);
  }
  const indexStart = d.pos;
  checkIndex(d, blocks);
  const footer = d.pos;
  d.pos += STREAM_HEADER_BYTES;
  const good =
    d.pos <= input.length &&
    hasMagic(input, FOOTER_MAGIC, footer + 10) &&
    input[footer + 8] === 0 &&
    input[footer + 9] === check &&
    u32(input, footer) === crc32(input.subarray(footer + 4, footer + 10)) &&
    (u32(input, footer + 4) + 1) * 4 === footer - indexStart;
  if (!good) throw corrupt('xz', 'its stream footer is broken or missing');
  return true;
}

/** One block (section 3); null if it stopped early because `enough` is there. */
function decodeBlock(d: LzmaDecoder, check: number, limit: number, enough: number): Block | null {
  const { input } = d;
  const start = d.pos;
  const headerBytes = (input[start]! + 1) * 4;
  const x86Start = readBlockHeader(d, headerBytes);
  const packedStart = start + headerBytes;
  const plainStart = d.outPos;
  d.pos = packedStart;
  const whole = decodeLzma2(d, limit, enough);
  const plain = d.out.subarray(plainStart, d.outPos);
  if (x86Start !== null) undoBcjX86(plain, x86Start);
  if (!whole) return null;
  const packedEnd = d.pos;
  while ((d.pos - start) & 3) {
    if (input[d.pos++] !== 0) throw corrupt('xz', 'the padding of a block is not zero');
  }
  const checkBytes = CHECK_BYTES[check]!;
  const stored = input.subarray(d.pos, d.pos + checkBytes);
  d.pos += checkBytes;
  if (d.pos > input.length) throw corrupt('xz', 'it ends within a block');
  if (!checkMatches(check, stored, plain))
    throw corrupt('xz', 'the check over a block does not match');
  return { unpaddedBytes: packedEnd - start + checkBytes, plainBytes: plain.length };
}

/** Start offset of the x86 filter, or null if the block has none. Sizes in the header are left to the index to check. */
function readBlockHeader(d: LzmaDecoder, headerBytes: number): number | null {
  const { input } = d;
  const start = d.pos;
  const end = start + headerBytes - 4;
  if (end + 4 > input.length || !crcMatches(input, start, headerBytes - 4)) {
    throw corrupt('xz', 'a block header is broken');
  }
  const flags = input[start + 1]!;
  if (flags & 0x3c) throw unsupported('options that are reserved');
  d.pos = start + 2;
  if (flags & 0x40) readVli(d, end);
  if (flags & 0x80) readVli(d, end);
  let x86Start: number | null = null;
  for (let left = (flags & 3) + 1; left > 0; left--) {
    const id = readVli(d, end);
    const propertyBytes = readVli(d, end);
    const at = d.pos;
    d.pos += propertyBytes;
    if (d.pos > end) throw corrupt('xz', 'a block header is broken');
    if (id === FILTER_LZMA2 && propertyBytes === 1 && left === 1) continue;
    const x86 = id === FILTER_BCJ_X86 && x86Start === null && left > 1;
    if (!x86 || (propertyBytes !== 0 && propertyBytes !== 4)) {
      throw unsupported(`filter 0x${id.toString(16)}`);
    }
    x86Start = propertyBytes === 4 ? u32(input, at) : 0;
  }
  return x86Start;
}

/** LZMA2 chunks up to the end mark (true) or until `enough` is there (false). Ref: xz-file-format.txt 5.3.1, liblzma. */
function decodeLzma2(d: LzmaDecoder, limit: number, enough: number): boolean {
  const { input } = d;
  let needsDictionary = true;
  let needsState = true;
  let needsProperties = true;
  for (;;) {
    const control = input[d.pos];
    if (control === undefined) throw corrupt('xz', 'it ends within a block');
    if (control === 0) {
      d.pos++;
      return true;
    }
    if (d.outPos >= enough) return false;
    if (control === 1 || control >= 0xe0) {
      needsDictionary = false;
      d.dictStart = d.outPos;
    }
    if (needsDictionary || (control > 2 && control < 0x80))
      throw corrupt('xz', 'a chunk is broken');
    if (control < 0x80) {
      storedChunk(d, limit);
      continue;
    }
    if (d.pos + 6 > input.length) throw corrupt('xz', 'it ends within a block');
    const plainBytes = (((control & 31) << 16) | (input[d.pos + 1]! << 8) | input[d.pos + 2]!) + 1;
    const packedBytes = ((input[d.pos + 3]! << 8) | input[d.pos + 4]!) + 1;
    d.pos += 5;
    if (control >= 0xc0) {
      if (!setProperties(d, input[d.pos++]!) || d.lc + d.lp > 4)
        throw corrupt('xz', 'a chunk is broken');
      needsProperties = false;
    }
    if (control >= 0xa0) {
      resetState(d);
      needsState = false;
    }
    if (needsProperties || needsState) throw corrupt('xz', 'a chunk is broken');
    lzmaChunk(d, plainBytes, packedBytes, limit);
  }
}

function storedChunk(d: LzmaDecoder, limit: number): void {
  const { input } = d;
  const at = d.pos + 3;
  if (at > input.length) throw corrupt('xz', 'it ends within a block');
  const size = ((input[d.pos + 1]! << 8) | input[d.pos + 2]!) + 1;
  if (at + size > input.length) throw corrupt('xz', 'it ends within a block');
  reserve(d, size, limit);
  d.out.set(input.subarray(at, at + size), d.outPos);
  d.outPos += size;
  d.pos = at + size;
}

function lzmaChunk(d: LzmaDecoder, plainBytes: number, packedBytes: number, limit: number): void {
  const chunkEnd = d.pos + packedBytes;
  if (chunkEnd > d.input.length) throw corrupt('xz', 'it ends within a block');
  reserve(d, plainBytes, limit);
  d.end = chunkEnd;
  startRangeDecoder(d);
  const until = d.outPos + plainBytes;
  if (!decodeUntil(d, until, until) || d.pos !== chunkEnd || !finishedCleanly(d)) {
    throw corrupt('xz', 'a chunk does not have the size it names');
  }
  d.end = d.input.length;
}

function reserve(d: LzmaDecoder, bytes: number, limit: number): void {
  const needed = d.outPos + bytes;
  if (needed > limit) throw tooLarge('xz', limit);
  if (needed > d.out.length) d.out = grow(d.out, needed, limit, 'xz');
}

/** The index (section 4) must list exactly the blocks that were decoded. */
function checkIndex(d: LzmaDecoder, blocks: readonly Block[]): void {
  const { input } = d;
  const start = d.pos;
  if (start >= input.length) throw corrupt('xz', 'it ends before its index');
  d.pos = start + 1;
  let same = readVli(d, input.length) === blocks.length;
  for (const block of same ? blocks : []) {
    const unpadded = readVli(d, input.length);
    same =
      readVli(d, input.length) === block.plainBytes && unpadded === block.unpaddedBytes && same;
  }
  while (same && (d.pos - start) & 3) same = input[d.pos++] === 0;
  if (!same || d.pos + 4 > input.length || !crcMatches(input, start, d.pos - start)) {
    throw corrupt('xz', 'its index does not match its blocks');
  }
  d.pos += 4;
}

/** What the index of a file of a single stream says of its size; null where it cannot be read simply. */
function plainBytesByIndex(bytes: Uint8Array): number | null {
  const footer = bytes.length - STREAM_HEADER_BYTES;
  if (footer < STREAM_HEADER_BYTES || !hasMagic(bytes, FOOTER_MAGIC, footer + 10)) return null;
  const start = footer - (u32(bytes, footer + 4) + 1) * 4;
  if (start < STREAM_HEADER_BYTES || bytes[start] !== 0) return null;
  const d = { ...lzmaDecoder('xz', bytes), pos: start + 1 };
  let total = 0;
  for (let left = readVli(d, footer); left > 0; left--) {
    readVli(d, footer);
    total += readVli(d, footer);
  }
  return total;
}

/** A variable-length integer (1.2). */
function readVli(d: LzmaDecoder, end: number): number {
  let value = 0;
  let scale = 1;
  for (let n = 0; n < 7; n++) {
    const byte = d.pos < end ? d.input[d.pos]! : -1;
    if (byte < 0) break;
    d.pos++;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw corrupt('xz', 'a number is too long or cut off');
}

function checkMatches(check: number, stored: Uint8Array, plain: Uint8Array): boolean {
  if (check === CHECK_CRC32) return u32(stored, 0) === crc32(plain);
  if (check === CHECK_CRC64) {
    const { lo, hi } = crc64(plain);
    return u32(stored, 0) === lo && u32(stored, 4) === hi;
  }
  if (check === CHECK_SHA256) return hasMagic(stored, [...sha256(plain)]);
  return true; // None, or a kind that no tool has ever written (2.1.1.2).
}

/** Whether the CRC-32 that follows `length` bytes is theirs. */
function crcMatches(bytes: Uint8Array, start: number, length: number): boolean {
  const end = start + length;
  return end + 4 <= bytes.length && u32(bytes, end) === crc32(bytes.subarray(start, end));
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)) + bytes[at + 3]! * 0x1000000) >>>
    0
  );
}

function unsupported(what: string): InputError {
  return new InputError(
    'image/xz-unsupported',
    `The xz data uses ${what}, which pvops does not undo`,
    'Kernels and packages use LZMA2 with at most the x86 filter.',
  );
}
