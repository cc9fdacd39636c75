// Archives: what is written reads back, and damage is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../base/errors.ts';
import { utf8Bytes, utf8Text } from '../bytes.ts';
import { readAr } from './ar.ts';
import { type CpioEntry, readCpio, writeCpio } from './cpio.ts';
import { entryPath } from './entry-path.ts';
import { readTar } from './tar.ts';

const ENTRIES: CpioEntry[] = [
  { kind: 'directory', path: 'dev', mode: 0o755 },
  { kind: 'char', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'block', path: 'dev/sda', mode: 0o660, major: 8, minor: 0 },
  { kind: 'file', path: 'etc/motd', mode: 0o644, bytes: utf8Bytes('hello\n') },
  { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
];

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
  return 'nothing refused';
}

test('a cpio archive reads back as it was written', () => {
  expect(readCpio(writeCpio(ENTRIES))).toEqual(ENTRIES);
});

test('a cpio header has the fields of the newc format at their places', () => {
  const text = Buffer.from(writeCpio([ENTRIES[3]!])).toString('latin1');
  const fields = text
    .slice(6, 110)
    .match(/.{8}/g)!
    .map((digits) => Number.parseInt(digits, 16));
  expect(text.slice(0, 6)).toBe('070701');
  expect(fields).toEqual([1, 0o100644, 0, 0, 1, 0, 6, 0, 0, 0, 0, 9, 0]);
  expect(text.slice(110, 118)).toBe('etc/motd');
  expect(text.slice(120, 126)).toBe('hello\n');
  expect(text.indexOf('070701', 1)).toBe(128);
  expect(text.length % 512).toBe(0);
});

test('a cpio archive that is cut off or damaged is refused and never crashes', () => {
  const bytes = writeCpio(ENTRIES);
  const trailer = Buffer.from(bytes).indexOf('TRAILER!!!') + 10;
  for (let length = 0; length < trailer; length++) {
    expect(refusal(() => readCpio(bytes.subarray(0, length)))).toBe('image/corrupt-cpio');
  }
  fc.assert(
    fc.property(fc.nat(trailer), fc.nat(255), (at, value) => {
      const damaged = bytes.slice();
      damaged[at] = value;
      refusal(() => readCpio(damaged));
    }),
  );
});

test('a member that would leave the archive is refused', () => {
  for (const path of ['../etc/passwd', 'a/../../b', '/..', 'a\0b']) {
    expect(refusal(() => entryPath(path, 'tar'))).toBe('image/unsafe-path');
    expect(refusal(() => writeCpio([{ kind: 'directory', path, mode: 0o755 }]))).toBe(
      'image/unsafe-path',
    );
  }
  expect(entryPath('./boot//vmlinuz', 'tar')).toBe('boot/vmlinuz');
  expect(entryPath('/', 'tar')).toBe('');
});

/** One ustar member, with a right checksum. */
function tarMember(name: string, type: string, data: Uint8Array, linkname = ''): Uint8Array {
  const out = Buffer.alloc(512 + Math.ceil(data.length / 512) * 512);
  out.write(name.slice(0, 100), 0, 'latin1');
  out.write('0000644\0', 100);
  out.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  out.write('        ', 148);
  out.write(type, 156);
  out.write(linkname, 157);
  out.write('ustar\x0000', 257, 'latin1');
  const sum = out.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  out.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  out.set(data, 512);
  return out;
}

const LONG = `lib/${'deep/'.repeat(40)}module.ko`;

test('tar members come with GNU long names, pax names and link targets', () => {
  const record = (key: string, value: string) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length++;
    return utf8Bytes(`${length}${rest}`);
  };
  const archive = Buffer.concat([
    tarMember('./', '5', new Uint8Array(0)),
    tarMember('./boot/vmlinuz', '0', utf8Bytes('kernel')),
    tarMember('././@LongLink', 'L', utf8Bytes(`${LONG}\0`)),
    tarMember(LONG, '0', utf8Bytes('ko')),
    tarMember('pax', 'x', record('path', `pax/${LONG}`)),
    tarMember('short', '0', utf8Bytes('p')),
    tarMember('link', '2', new Uint8Array(0), 'boot/vmlinuz'),
    Buffer.alloc(1024),
  ]);
  const entries = readTar(archive).map(({ kind, path, bytes, target }) => [
    kind,
    path,
    utf8Text(bytes),
    target,
  ]);
  expect(entries).toEqual([
    ['directory', '', '', ''],
    ['file', 'boot/vmlinuz', 'kernel', ''],
    ['file', LONG, 'ko', ''],
    ['file', `pax/${LONG}`, 'p', ''],
    ['symlink', 'link', '', 'boot/vmlinuz'],
  ]);
});

test('the beginning of a tar archive gives the members that are whole', () => {
  const archive = Buffer.concat([
    tarMember('a', '0', utf8Bytes('1')),
    tarMember('b', '0', Buffer.alloc(2000)),
  ]);
  expect(refusal(() => readTar(archive.subarray(0, 1600)))).toBe('image/corrupt-tar');
  expect(readTar(archive.subarray(0, 1600), { prefix: true }).map(({ path }) => path)).toEqual([
    'a',
  ]);
});

test('a damaged tar header is refused and never crashes', () => {
  const archive = tarMember('a', '0', utf8Bytes('1'));
  fc.assert(
    fc.property(fc.nat(511), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Uint8Array.from(archive);
      damaged[at] = damaged[at]! ^ flip;
      // The checksum covers the header, and its own digits the sum; spaces around those may change.
      if (at < 148 || at > 155) {
        expect(refusal(() => readTar(damaged))).toBe('image/corrupt-tar');
      } else refusal(() => readTar(damaged));
    }),
  );
});

test('ar members lie on even offsets and lose the padding of their names', () => {
  const member = (name: string, data: string) =>
    `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(data.length).padEnd(10)}\`\n${data}`;
  const archive = Buffer.from(`!<arch>\n${member('odd', 'abc')}\n${member('even/', 'wxyz')}`);
  expect(readAr(archive).map(({ name, bytes }) => [name, utf8Text(bytes)])).toEqual([
    ['odd', 'abc'],
    ['even', 'wxyz'],
  ]);
  expect(refusal(() => readAr(archive.subarray(0, archive.length - 1)))).toBe('image/corrupt-ar');
  expect(refusal(() => readAr(Buffer.from('!<arch>\nnonsense')))).toBe('image/corrupt-ar');
});

test('text survives UTF-8 and bad bytes do not throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(utf8Text(utf8Bytes(text))).toBe(Buffer.from(text).toString('utf8'));
    }),
  );
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof utf8Text(bytes) === 'string'));
});
