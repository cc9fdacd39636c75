// Zstandard (RFC 8878), decoded by fzstd into a buffer of ours, so that sizes are bounded and known exactly.
import { decompress } from 'fzstd';
import { corrupt, tooLarge } from './corrupt.ts';

// RFC 8878 3.1.1 and 3.1.2.
const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_BYTES_MAX = 128 << 10;
/**
 * Each costs the work of a whole block, and may have nine bytes. The tool and the libraries write a single one, with any
 * number of threads; pzstd and `cat` make more.
 */
const FRAMES_MAX = 64;
const BLOCK_RLE = 1;
const BLOCK_COMPRESSED = 2;
const BLOCK_RESERVED = 3;
/** Stands behind the frame's own last block, to show where that ended. */
const END_PATTERN = [0x5a, 0xa5, 0xc3, 0x3c, 0x5a, 0xa5, 0xc3, 0x3c];

interface Frame {
  readonly end: number;
  readonly lastBlock: number;
  readonly blocksEnd: number;
  /** Never less than what the frame unpacks to. */
  readonly atMost: number;
  readonly contentBytes: number | null;
}

/** All frames of the data. Checksums of content are not verified (fzstd does not). */
export function zstd(bytes: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 0) throw corrupt('zstd', 'it is empty');
  const pieces: Uint8Array[] = [];
  let total = 0;
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw corrupt('zstd', 'it ends within a frame header');
    const magic = view.getUint32(at, true);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + view.getUint32(at + 4, true);
      if (at > bytes.length) throw corrupt('zstd', 'it ends within a frame');
      continue;
    }
    if (magic !== MAGIC) throw corrupt('zstd', 'it does not begin as zstd does');
    if (pieces.length === FRAMES_MAX)
      throw corrupt('zstd', `it has more than ${FRAMES_MAX} frames`);
    const frame = walkFrame(bytes, at);
    const piece = decodeFrame(bytes, at, frame, limit - total);
    if (!piece) throw tooLarge('zstd', limit);
    pieces.push(piece);
    total += piece.length;
    at = frame.end;
  }
  if (pieces.length === 1) return pieces[0]!;
  const out = new Uint8Array(total);
  let to = 0;
  for (const piece of pieces) {
    out.set(piece, to);
    to += piece.length;
  }
  return out;
}

/** Reads the frame header and the headers of its blocks, without decoding. */
function walkFrame(bytes: Uint8Array, start: number): Frame {
  const descriptor = bytes[start + 4]!;
  const singleSegment = (descriptor >> 5) & 1;
  if (descriptor & 8) throw corrupt('zstd', 'a reserved bit is set');
  if (descriptor & 3) throw corrupt('zstd', 'it needs a dictionary');
  const sizeAt = start + 6 - singleSegment;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag ? 1 << sizeFlag : singleSegment;
  let contentBytes: number | null = sizeBytes ? 0 : null;
  for (let n = sizeBytes - 1; n >= 0; n--)
    contentBytes = contentBytes! * 256 + (bytes[sizeAt + n] ?? 0);
  if (sizeBytes === 2) contentBytes = contentBytes! + 256;
  let at = sizeAt + sizeBytes;
  let atMost = 0;
  for (;;) {
    if (at + 3 > bytes.length) throw corrupt('zstd', 'it ends within a frame');
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === BLOCK_RESERVED || size > BLOCK_BYTES_MAX)
      throw corrupt('zstd', 'a block is out of range');
    const lastBlock = at;
    at += 3 + (type === BLOCK_RLE ? 1 : size);
    if (at > bytes.length) throw corrupt('zstd', 'it ends within a block');
    atMost += type === BLOCK_COMPRESSED ? BLOCK_BYTES_MAX : size;
    if (!(header & 1)) continue;
    const end = at + (descriptor & 4);
    if (end > bytes.length) throw corrupt('zstd', 'it ends within a frame');
    return { end, lastBlock, blocksEnd: at, atMost, contentBytes };
  }
}

/**
 * One frame; null if it has more than `limit` bytes. fzstd fills a buffer of ours without saying how far (without one it
 * moves its whole window for each block). So two blocks are added behind the last: zeros over all that fzstd may use as
 * scratch, then a pattern. Where the pattern stands tells the size; if it does not fit fzstd throws.
 */
function decodeFrame(
  bytes: Uint8Array,
  start: number,
  frame: Frame,
  limit: number,
): Uint8Array | null {
  if (frame.contentBytes !== null && frame.contentBytes > limit) return null;
  const frameBytes = frame.blocksEnd - start;
  const input = new Uint8Array(frameBytes + 4 + 3 + END_PATTERN.length);
  input.set(bytes.subarray(start, frame.blocksEnd));
  input[4]! &= ~4; // The checksum is not there any more.
  input[frame.lastBlock - start]! &= ~1;
  input.set(blockHeader(BLOCK_RLE, BLOCK_BYTES_MAX, false), frameBytes);
  input.set(blockHeader(0, END_PATTERN.length, true), frameBytes + 4);
  input.set(END_PATTERN, frameBytes + 7);
  const room = Math.min(frame.atMost, limit + BLOCK_BYTES_MAX);
  const out = new Uint8Array(room + BLOCK_BYTES_MAX + END_PATTERN.length);
  try {
    decompress(input, out);
  } catch {
    // fzstd reports bad data by throwing, and typed arrays what does not fit.
    if (room < frame.atMost) return null;
    throw corrupt('zstd', 'a block is broken');
  }
  const size = sizeByPattern(out);
  if (size < 0 || (frame.contentBytes !== null && size !== frame.contentBytes)) {
    throw corrupt('zstd', 'its size is not the one it names');
  }
  return size > limit ? null : out.subarray(0, size);
}

function blockHeader(type: number, size: number, last: boolean): number[] {
  const header = (size << 3) | (type << 1) | (last ? 1 : 0);
  return [header & 255, (header >> 8) & 255, header >> 16];
}

function sizeByPattern(out: Uint8Array): number {
  const at = out.lastIndexOf(END_PATTERN[END_PATTERN.length - 1]!) + 1 - END_PATTERN.length;
  for (let n = 0; n < END_PATTERN.length; n++) if (out[at + n] !== END_PATTERN[n]) return -1;
  return at - BLOCK_BYTES_MAX;
}
