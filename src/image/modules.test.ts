// Modules of a package: what is needed comes with what is wanted, in an order in which it can be loaded.

import { describe, expect, it } from 'vitest';
import type { TarEntry } from './archive/tar.ts';
import { utf8Bytes, utf8Text } from './bytes.ts';
import { collectModules } from './modules.ts';
import { elfFile } from './testing/elf-file.ts';

const ROOT = 'lib/modules/6.1.0-test';

/** A relocatable ELF file with nothing in it but .modinfo. */
const moduleFile = (info: readonly string[]): Uint8Array =>
  elfFile({
    bits: 64,
    relocatable: true,
    sections: [{ name: '.modinfo', bytes: utf8Bytes(info.map((line) => `${line}\0`).join('')) }],
  });

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
