// gzip (RFC 1952): header and trailer are read here, the deflate stream between them by fflate.
import { gzipSync, Inflate } from 'fflate';
import { corrupt, tooLarge } from './corrupt.ts';
import { crc32 } from './crc.ts';

// RFC 1952 2.3.1.
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Deflate gives at most 1032 bytes for one (RFC 1951), so a push gives at most 33 MiB before the limit is looked at. */
const PUSH_BYTES = 32768;

/** One gzip member, checked against its CRC and size. */
export function gzip(bytes: Uint8Array, limit: number): Uint8Array {
  const start = deflateStart(bytes);
  const end = bytes.length - TRAILER_BYTES;
  if (end <= start) throw corrupt('gzip', 'it ends within its header');
  const out = join(inflatePieces(bytes.subarray(start, end), limit));
  const trailer = new DataView(bytes.buffer, bytes.byteOffset + end, TRAILER_BYTES);
  if (trailer.getUint32(4, true) !== out.length >>> 0)
    throw corrupt('gzip', 'its size is not the one it names');
  if (trailer.getUint32(0, true) !== crc32(out)) throw corrupt('gzip', 'its CRC does not match');
  return out;
}

/** One member without a name or a time: the same bytes give the same file. */
export const packGzip = (bytes: Uint8Array): Uint8Array => gzipSync(bytes, { mtime: 0 });

function deflateStart(bytes: Uint8Array): number {
  const flags = bytes[3] ?? RESERVED;
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8 || flags & RESERVED) {
    throw corrupt('gzip', 'its header is not one of RFC 1952');
  }
  let at = HEADER_BYTES;
  if (flags & FEXTRA) at += 2 + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8));
  for (const text of [FNAME, FCOMMENT]) {
    if (!(flags & text)) continue;
    const nul = bytes.indexOf(0, at);
    if (nul < 0) throw corrupt('gzip', 'it ends within its header');
    at = nul + 1;
  }
  return flags & FHCRC ? at + 2 : at;
}

function inflatePieces(deflate: Uint8Array, limit: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let total = 0;
  const stream = new Inflate((piece) => {
    total += piece.length;
    pieces.push(piece);
  });
  for (let at = 0; at < deflate.length; at += PUSH_BYTES) {
    const last = at + PUSH_BYTES >= deflate.length;
    try {
      stream.push(deflate.subarray(at, at + PUSH_BYTES), last);
    } catch {
      throw corrupt('gzip', 'its deflate stream is broken or cut off'); // fflate reports bad data by throwing.
    }
    if (total > limit) throw tooLarge('gzip', limit);
  }
  return pieces;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
