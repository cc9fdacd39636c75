// Reading numbers and text out of a file's bytes, with bounds checked.
import { InputError } from '../base/errors.ts';

/** Numbers at offsets of one file; reading outside of it is an InputError that names the file's kind. */
export interface ByteReader {
  readonly bytes: Uint8Array;
  u8(at: number): number;
  u16(at: number): number;
  u32(at: number): number;
  /** A u64 that fits a number exactly; a greater one is refused. */
  u64(at: number): number;
  u64n(at: number): bigint;
  slice(at: number, length: number): Uint8Array;
}

/** Little-endian reader; `what` is the subject of its errors ("the ELF file"), `code` their code. */
export function byteReader(bytes: Uint8Array, what: string, code: string): ByteReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (at: number, length: number) => {
    if (!(at >= 0 && length >= 0 && at + length <= bytes.length)) {
      throw new InputError(
        code,
        `${what} is truncated: it refers to bytes ${at} to ${at + length}, but has ${bytes.length}`,
        'The file may be damaged or only partly copied.',
      );
    }
    return at;
  };
  const u64n = (at: number) => view.getBigUint64(need(at, 8), true);
  return {
    bytes,
    u8: (at) => view.getUint8(need(at, 1)),
    u16: (at) => view.getUint16(need(at, 2), true),
    u32: (at) => view.getUint32(need(at, 4), true),
    u64(at) {
      const value = Number(u64n(at));
      if (Number.isSafeInteger(value)) return value;
      throw new InputError(
        code,
        `${what} has an absurd number at byte ${at}`,
        'It may be damaged.',
      );
    },
    u64n,
    slice: (at, length) => bytes.subarray(need(at, length), at + length),
  };
}

/** Text of one byte per character, up to `end` or the first NUL. */
export function asciiText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let at = start; at < end && at < bytes.length; at++) {
    const code = bytes[at]!;
    if (code === 0) break;
    text += String.fromCharCode(code);
  }
  return text;
}

/** UTF-8 text; what is not UTF-8 becomes U+FFFD, as in the Encoding standard (one for each bad byte here). */
export function utf8Text(bytes: Uint8Array): string {
  const parts: string[] = [];
  let units: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length =
      lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    let point = length > 1 ? lead & (0x7f >> length) : lead;
    let good = length > 0 && at + length <= bytes.length;
    for (let n = 1; good && n < length; n++) {
      const next = bytes[at + n]!;
      good = (next & 0xc0) === 0x80;
      point = (point << 6) | (next & 0x3f);
    }
    if (length === 3 && (point < 0x800 || (point & 0xf800) === 0xd800)) good = false;
    if (length === 4 && (point < 0x10000 || point > 0x10ffff)) good = false;
    at += good ? length : 1;
    units.push(good ? point : 0xfffd);
    if (units.length === 4096) {
      parts.push(String.fromCodePoint(...units));
      units = [];
    }
  }
  parts.push(String.fromCodePoint(...units));
  return parts.join('');
}

export function utf8Bytes(text: string): Uint8Array {
  const out: number[] = [];
  for (const character of text) {
    const raw = character.codePointAt(0)!;
    const point = raw >= 0xd800 && raw < 0xe000 ? 0xfffd : raw;
    if (point < 0x80) out.push(point);
    else if (point < 0x800) out.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) {
      out.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    } else {
      out.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63));
      out.push(0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    }
  }
  return Uint8Array.from(out);
}

/** Whether `bytes` has `magic` at `at`. */
export function hasMagic(bytes: Uint8Array, magic: readonly number[], at = 0): boolean {
  for (let n = 0; n < magic.length; n++) if (bytes[at + n] !== magic[n]) return false;
  return true;
}

/** First position of `needle` in `bytes` from `from`, or -1. */
export function findBytes(bytes: Uint8Array, needle: Uint8Array, from = 0): number {
  const first = needle[0];
  if (first === undefined) return from;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let n = 1;
    while (n < needle.length && bytes[at + n] === needle[n]) n++;
    if (n === needle.length) return at;
  }
  return -1;
}
