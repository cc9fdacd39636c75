// Modules of a package: what is needed comes with what is wanted, in an order in which it can be loaded.

import { describe, expect, it } from 'vitest';
import type { TarEntry } from './archive/tar.ts';
import { utf8Bytes, utf8Text } from './bytes.ts';
import { collectModules } from './modules.ts';

const ROOT = 'lib/modules/6.1.0-test';

/** A relocatable ELF file with nothing in it but .modinfo. */
function moduleFile(info: readonly string[]): Uint8Array {
  const text = utf8Bytes(info.map((line) => `${line}\0`).join(''));
  const names = utf8Bytes('\0.modinfo\0.shstrtab\0');
  const sectionsAt = 64 + text.length + names.length;
  const bytes = new Uint8Array(sectionsAt + 3 * 64);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 1, true); // ET_REL
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(40, sectionsAt, true);
  view.setUint16(52, 64, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 3, true);
  view.setUint16(62, 2, true);
  bytes.set(text, 64);
  bytes.set(names, 64 + text.length);
  const section = (n: number, name: number, type: number, offset: number, size: number) => {
    view.setUint32(sectionsAt + n * 64, name, true);
    view.setUint32(sectionsAt + n * 64 + 4, type, true);
    view.setUint32(sectionsAt + n * 64 + 24, offset, true);
    view.setUint32(sectionsAt + n * 64 + 32, size, true);
  };
  section(1, 1, 1, 64, text.length);
  section(2, 10, 3, 64 + text.length, names.length);
  return bytes;
}

const entry = (path: string, bytes: Uint8Array): TarEntry => ({
  kind: 'file',
  path: `${ROOT}/${path}`,
  mode: 0o644,
  bytes,
  target: '',
});
const PACKAGE = [
  entry('kernel/fs/disk-fs.ko', moduleFile(['depends=cache,log', 'softdep=pre: sum32 post: late'])),
  entry('kernel/fs/log.ko', moduleFile(['depends=cache'])),
  entry('kernel/fs/cache.ko', moduleFile(['depends='])),
  entry('kernel/sum32-fast.ko', moduleFile(['alias=sum32', 'depends='])),
  entry('kernel/sum32_generic.ko', moduleFile(['alias=sum32', 'depends=fixed'])),
  entry('modules.builtin', utf8Bytes('kernel/lib/fixed.ko\n')),
];

describe('modules of a package', () => {
  const { files, names } = collectModules(PACKAGE, ['disk_fs', 'fixed'], 'k.deb');

  it('come with what they depend on, softly too, by alias the one that runs on any CPU', () => {
    expect(files.map(({ path }) => path)).toEqual([
      `/${ROOT}/kernel/fs/disk-fs.ko`,
      `/${ROOT}/kernel/fs/cache.ko`,
      `/${ROOT}/kernel/fs/log.ko`,
      `/${ROOT}/kernel/sum32_generic.ko`,
      `/${ROOT}/modules.dep`,
    ]);
  });

  it('that are built in are neither packed nor loaded', () => {
    expect(names).toEqual(['disk_fs']);
  });

  it('are listed for modprobe, the last to be loaded first', () => {
    expect(utf8Text(files.at(-1)!.bytes)).toBe(
      'kernel/fs/disk-fs.ko: kernel/sum32_generic.ko kernel/fs/log.ko kernel/fs/cache.ko\n' +
        'kernel/fs/cache.ko: \n' +
        'kernel/fs/log.ko: kernel/fs/cache.ko\n' +
        'kernel/sum32_generic.ko: \n',
    );
  });

  it('that are nowhere are refused', () => {
    expect(() => collectModules(PACKAGE, ['nothing'], 'k.deb')).toThrow(
      expect.objectContaining({ code: 'image/no-module' }),
    );
  });
});
