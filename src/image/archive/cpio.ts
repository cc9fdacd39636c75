// cpio archives in the "newc" format: what the kernel unpacks as its initramfs.
import { InputError } from '../../base/errors.ts';
import { asciiText, utf8Bytes, utf8Text } from '../bytes.ts';
import { entryPath } from './entry-path.ts';

/** One member. `path` is relative (`bin/busybox`); `mode` holds the permission bits alone. */
export type CpioEntry =
  | { readonly kind: 'file'; path: string; mode: number; bytes: Uint8Array }
  | { readonly kind: 'directory'; path: string; mode: number }
  | { readonly kind: 'symlink'; path: string; target: string }
  | { readonly kind: 'char' | 'block'; path: string; mode: number; major: number; minor: number };

// Linux Documentation/driver-api/early-userspace/buffer-format.rst: magic, then thirteen fields of eight hex digits.
const MAGICS = ['070701', '070702'];
const HEADER_BYTES = 110;
const TRAILER = 'TRAILER!!!';
/** PATH_MAX (linux/limits.h): the kernel skips members with longer names. */
const NAME_BYTES_MAX = 4096;
/** Archives end on this boundary, as GNU cpio's do. */
const BLOCK_BYTES = 512;

const S_IFMT = 0o170000;
const FILE_TYPES = {
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;

/** Packs `entries` in their order, with inode numbers from 1, owner root and time 0: equal entries give equal bytes. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const records = entries.map((entry, index) => ({
    name: utf8Bytes(entryPath(entry.path, 'cpio')),
    data: dataOf(entry),
    entry,
    ino: index + 1,
  }));
  let size = alignTo(HEADER_BYTES + TRAILER.length + 1, 4);
  for (const { name, data } of records) {
    size += alignTo(HEADER_BYTES + name.length + 1, 4) + alignTo(data.length, 4);
  }
  const out = new Uint8Array(alignTo(size, BLOCK_BYTES));
  let at = 0;
  const put = (
    ino: number,
    mode: number,
    name: Uint8Array,
    data: Uint8Array,
    major: number,
    minor: number,
  ) => {
    const links = (mode & S_IFMT) === FILE_TYPES.directory ? 2 : 1;
    const fields = [ino, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length + 1, 0];
    const header = MAGICS[0] + fields.map((field) => field.toString(16).padStart(8, '0')).join('');
    for (let n = 0; n < HEADER_BYTES; n++) out[at + n] = header.charCodeAt(n);
    out.set(name, at + HEADER_BYTES);
    at = alignTo(at + HEADER_BYTES + name.length + 1, 4);
    out.set(data, at);
    at = alignTo(at + data.length, 4);
  };
  for (const { name, data, entry, ino } of records) {
    const node = entry.kind === 'char' || entry.kind === 'block';
    const mode = entry.kind === 'symlink' ? 0o777 : entry.mode & 0o7777;
    const type = FILE_TYPES[entry.kind];
    put(ino, type | mode, name, data, node ? entry.major : 0, node ? entry.minor : 0);
  }
  put(0, 0, utf8Bytes(TRAILER), new Uint8Array(0), 0, 0);
  return out;
}

/** The members of an archive, up to its trailer. Hard links beyond the first come as empty files. */
export function readCpio(bytes: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let at = 0; ; ) {
    const header = asciiText(bytes, at, at + HEADER_BYTES);
    if (header.length < HEADER_BYTES) throw corrupt(`a header at byte ${at} is cut off`);
    if (!MAGICS.includes(header.slice(0, 6))) throw corrupt(`no member header at byte ${at}`);
    const field = (index: number) => {
      const digits = header.slice(6 + index * 8, 14 + index * 8);
      if (!/^[0-9a-fA-F]{8}$/.test(digits))
        throw corrupt(`a bad number in the header at byte ${at}`);
      return Number.parseInt(digits, 16);
    };
    const nameBytes = field(11);
    const dataBytes = field(6);
    const dataAt = alignTo(at + HEADER_BYTES + nameBytes, 4);
    if (nameBytes < 1 || nameBytes > NAME_BYTES_MAX) throw corrupt(`a bad name at byte ${at}`);
    if (dataAt + dataBytes > bytes.length) throw corrupt(`the member at byte ${at} is cut off`);
    const name = utf8Text(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + nameBytes - 1));
    if (name === TRAILER) return entries;
    const data = bytes.subarray(dataAt, dataAt + dataBytes);
    const entry = memberOf(entryPath(name, 'cpio'), field(1), data, field(9), field(10));
    if (entry) entries.push(entry);
    at = alignTo(dataAt + dataBytes, 4);
  }
}

/** Null for sockets and pipes, which have no place in an image. */
function memberOf(
  path: string,
  fullMode: number,
  bytes: Uint8Array,
  major: number,
  minor: number,
): CpioEntry | null {
  const mode = fullMode & 0o7777;
  switch (fullMode & S_IFMT) {
    case FILE_TYPES.file:
      return { kind: 'file', path, mode, bytes };
    case FILE_TYPES.directory:
      return { kind: 'directory', path, mode };
    case FILE_TYPES.symlink:
      return { kind: 'symlink', path, target: utf8Text(bytes) };
    case FILE_TYPES.char:
      return { kind: 'char', path, mode, major, minor };
    case FILE_TYPES.block:
      return { kind: 'block', path, mode, major, minor };
  }
  return null;
}

function dataOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.bytes;
  return entry.kind === 'symlink' ? utf8Bytes(entry.target) : new Uint8Array(0);
}

function alignTo(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

function corrupt(detail: string): InputError {
  return new InputError(
    'image/corrupt-cpio',
    `The cpio archive is damaged: ${detail}`,
    'An initramfs is an uncompressed "newc" archive: cpio -o -H newc.',
  );
}
