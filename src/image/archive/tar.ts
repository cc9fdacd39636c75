// tar archives: ustar, with GNU long names and pax headers.
import { InputError } from '../../base/errors.ts';
import { asciiText, utf8Text } from '../bytes.ts';
import { entryPath } from './entry-path.ts';

export interface TarEntry {
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';
  /** Relative, without `.` and `..`: `boot/vmlinuz-6.1.0`. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
  /** Where a link points, as written. */
  readonly target: string;
}

export interface TarOptions {
  /** The bytes are only the beginning of an archive: members that are cut off are left out. */
  readonly prefix?: boolean;
}

// POSIX.1-1988 ustar header; GNU tar manual "Extensions"; POSIX.1-2001 pax.
const BLOCK_BYTES = 512;
const CHECKSUM_AT = 148;
const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
  '7': 'file',
};
const EMPTY = new Uint8Array(0);

/** The members in their order, as views of `bytes`. */
export function readTar(bytes: Uint8Array, options: TarOptions = {}): TarEntry[] {
  const entries: TarEntry[] = [];
  // What an extension header says about the member that follows it.
  let next: { path?: string; linkpath?: string; size?: number } = {};
  for (let at = 0; at < bytes.length; ) {
    if (at + BLOCK_BYTES > bytes.length) {
      if (options.prefix) return entries;
      throw corrupt(`the header at byte ${at} is cut off`);
    }
    const header = bytes.subarray(at, at + BLOCK_BYTES);
    if (header[0] === 0 && checksum(header) === 8 * 0x20) return entries; // Two zero blocks end it; one is enough.
    if (readNumber(header, CHECKSUM_AT, 8) !== checksum(header))
      throw corrupt(`no member header at byte ${at}`);
    const type = String.fromCharCode(header[156]!);
    const size = next.size ?? readNumber(header, 124, 12);
    const start = at + BLOCK_BYTES;
    if (!(size >= 0 && start + size <= bytes.length)) {
      if (options.prefix) return entries;
      throw corrupt(`the member at byte ${at} is cut off`);
    }
    const data = bytes.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (type === 'L') next.path = textOf(data, 0, data.length);
    else if (type === 'K') next.linkpath = textOf(data, 0, data.length);
    else if (type === 'x') next = { ...next, ...readPax(data) };
    else if (type !== 'g') {
      entries.push({
        kind: KINDS[type] ?? 'other',
        path: entryPath(next.path ?? ustarName(header), 'tar'),
        mode: readNumber(header, 100, 8) & 0o7777,
        bytes: KINDS[type] === 'file' ? data : EMPTY,
        target: next.linkpath ?? textOf(header, 157, 257),
      });
      next = {};
    }
  }
  return entries;
}

function ustarName(header: Uint8Array): string {
  const name = textOf(header, 0, 100);
  // GNU archives write "ustar  " and keep other things where POSIX has the prefix.
  const prefix =
    asciiText(header, 257, 265) === 'ustar' && header[263] === 0x30 ? textOf(header, 345, 500) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records "length key=value\n"; the keys that matter here. */
function readPax(data: Uint8Array): { path?: string; linkpath?: string; size?: number } {
  const found: { path?: string; linkpath?: string; size?: number } = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number(asciiText(data, at, Math.min(space, at + 10)));
    const whole =
      Number.isInteger(length) && length >= space - at + 2 && at + length <= data.length;
    if (space < 0 || !whole) {
      throw corrupt('a pax header is broken');
    }
    const record = utf8Text(data.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    const value = record.slice(equals + 1);
    const key = record.slice(0, Math.max(0, equals));
    if (key === 'path') found.path = value;
    if (key === 'linkpath') found.linkpath = value;
    if (key === 'size') {
      found.size = Number(value);
      if (!Number.isSafeInteger(found.size)) throw corrupt('a pax header is broken');
    }
    at += length;
  }
  return found;
}

/** Octal, or base 256 if the highest bit is set (GNU); -1 if it is neither. */
function readNumber(header: Uint8Array, at: number, length: number): number {
  if (header[at]! & 0x80) {
    let value = header[at]! & 0x7f;
    for (let n = 1; n < length; n++) value = value * 256 + header[at + n]!;
    return Number.isSafeInteger(value) ? value : -1;
  }
  const digits = asciiText(header, at, at + length).trim();
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : -1;
}

/** Sum of the header's bytes with its own field read as spaces. */
function checksum(header: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let n = 0; n < BLOCK_BYTES; n++) {
    if (n < CHECKSUM_AT || n >= CHECKSUM_AT + 8) sum += header[n]!;
  }
  return sum;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  const nul = bytes.indexOf(0, start);
  return utf8Text(bytes.subarray(start, nul >= 0 && nul < end ? nul : end));
}

function corrupt(detail: string): InputError {
  return new InputError(
    'image/corrupt-tar',
    `The tar archive is damaged: ${detail}`,
    'If it came out of a .deb, download that again.',
  );
}
