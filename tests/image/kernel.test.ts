// Kernels as files: ELF, bzImage and packages, whole, damaged and hostile.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { detect } from '../../src/image/codec/detect.ts';
import {
  elfNotes,
  elfSymbols,
  loadSegments,
  openDeb,
  openKernel,
  parseBzImage,
  parseElf,
  pvhEntry,
} from '../../src/image/index.ts';
import { elfFile } from '../../src/image/testing/elf-file.ts';
import { makeBzImage, makeDeb, makeVmlinux, PVH_NOTE } from './build.ts';
import { payloadImages, payloadVmlinux } from './payload.ts';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
  return 'nothing refused';
}

for (const bits of [32, 64] as const) {
  test(`a ${bits}-bit vmlinux loads by physical address, with its zeros`, () => {
    const bytes = elfFile({
      bits,
      entry: 0x1000000,
      loads: [
        { paddr: 0x2000000, bytes: Buffer.from('data'), memBytes: 0x1000 },
        { paddr: 0x1000000, bytes: Buffer.from('text'), memBytes: 4 },
        { paddr: 0x3000000, bytes: new Uint8Array(0), memBytes: 0 },
      ],
      notes: [{ name: 'GNU', type: 3, desc: Buffer.from('build') }, PVH_NOTE],
    });
    const elf = parseElf(bytes);
    expect(elf.bits).toBe(bits);
    expect(elf.entry).toBe(0x1000000n);
    expect(
      loadSegments(elf).map(({ gpa, bytes: b, memBytes }) => [
        gpa,
        Buffer.from(b).toString(),
        memBytes,
      ]),
    ).toEqual([
      [0x1000000, 'text', 4],
      [0x2000000, 'data', 0x1000],
    ]);
    expect(elfNotes(elf).map(({ name, type }) => [name, type])).toEqual([
      ['GNU', 3],
      ['Xen', 18],
    ]);
    expect(pvhEntry(elf)).toBe(0x1000850);
    expect(elfSymbols(elf)).toEqual([]);
  });
}

test('a vmlinux without a PVH note has no PVH entry', () => {
  const elf = parseElf(
    elfFile({ bits: 64, loads: [{ paddr: 0, bytes: Buffer.from('x'), memBytes: 1 }] }),
  );
  expect(pvhEntry(elf)).toBeNull();
});

test('an ELF file that is cut off, or with any bytes changed, gives a result or a refusal', () => {
  const whole = makeVmlinux();
  const use = (bytes: Uint8Array) => () => {
    const elf = parseElf(bytes);
    return [loadSegments(elf), elfNotes(elf), elfSymbols(elf), pvhEntry(elf)];
  };
  for (let length = 0; length < whole.length; length++) {
    expect(refusal(use(whole.subarray(0, length)))).toMatch(/^image\/(corrupt|not)-elf$/);
  }
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      (changes) => {
        const damaged = whole.slice();
        for (const [at, value] of changes) damaged[at] = value;
        refusal(use(damaged));
      },
    ),
    { numRuns: 2000 },
  );
});

test('an ELF file for another machine is refused by name of the machine', () => {
  const bytes = Uint8Array.from(makeVmlinux());
  bytes[18] = 183;
  expect(() => parseElf(bytes, 'vmlinux-arm')).toThrow(
    'vmlinux-arm is for ELF machine 183, not for x86',
  );
});

test('a bzImage gives its header, its version and the vmlinux packed in it', () => {
  const kernel = openKernel(makeBzImage(gzipSync(makeVmlinux())), 'vmlinuz-test');
  expect(kernel).toMatchObject({ kind: 'bzimage', bits: 64 });
  expect(kernel.version()).toBe('6.1.0-test (build) #1');
  expect(kernel.header).toMatchObject({
    version: 0x20f,
    setup_sects: 1,
    pref_address: 0x1000000,
    init_size: 0x2000,
  });
  expect(kernel.header?.raw).toHaveLength(0x26c - 0x1f1);
  expect(pvhEntry(kernel.elf())).toBe(0x1000850);
  expect(kernel.config()).toBeNull();
  expect(kernel.digest()).toMatch(/^[0-9a-f]{64}$/);
});

test.each(payloadImages())(
  'a bzImage packed with $codec by its tool gives its vmlinux',
  ({ codec, bytes }) => {
    const kernel = openKernel(bytes, `vmlinuz-${codec}`);
    expect(detect(kernel.bzImage!.payload!)?.name).toBe(codec);
    expect(Buffer.compare(kernel.elf().bytes, payloadVmlinux())).toBe(0);
    expect(kernel.version()).toBe('6.1.0-test (build) #1');
  },
);

test('a payload of lz4 is cut before the size that the kernel build appends', () => {
  const vmlinux = makeVmlinux();
  // A legacy frame of one block with literals only (lz4_Block_format.md).
  const block = Buffer.concat([Buffer.from([0xf0, ...lengthBytes(vmlinux.length - 15)]), vmlinux]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  const plain = Buffer.alloc(4);
  plain.writeUInt32LE(vmlinux.length);
  const frame = Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), size, block]);
  const image = makeBzImage(Buffer.concat([frame, plain]));
  expect(Buffer.compare(openKernel(image, 'k').elf().bytes, vmlinux)).toBe(0);
  plain.writeUInt32LE(vmlinux.length + 1);
  const wrong = makeBzImage(Buffer.concat([frame, plain]));
  expect(refusal(() => openKernel(wrong, 'k').elf())).toBe('image/corrupt-bzimage');
});

function lengthBytes(length: number): number[] {
  return [...new Array<number>(Math.floor(length / 255)).fill(255), length % 255];
}

test('bzImages with a payload that is missing, unknown, no kernel or cut off are refused', () => {
  const codeOf = (image: Uint8Array) => refusal(() => openKernel(image, 'k').elf());
  expect(codeOf(makeBzImage(Buffer.from('not packed at all')))).toBe('image/unknown-codec');
  expect(codeOf(makeBzImage(gzipSync('no ELF file')))).toBe('image/no-vmlinux');
  expect(codeOf(makeBzImage(gzipSync(makeVmlinux()).subarray(0, 100)))).toBe('image/corrupt-gzip');
  const whole = makeBzImage(gzipSync(makeVmlinux()));
  for (const length of [0, 0x1ff, 0x203, 0x20f, 0x230, 0x26b, 1024, whole.length - 1]) {
    expect(codeOf(whole.subarray(0, length)), `at ${length}`).toMatch(/^image\//);
  }
  const old = Uint8Array.from(whole);
  old[0x206] = 7;
  expect(codeOf(old)).toBe('image/no-payload');
});

test('a bzImage that ends before its protected-mode part does is refused, though its payload is whole', () => {
  const whole = Buffer.from(makeBzImage(gzipSync(makeVmlinux())));
  const paragraphs = Math.ceil((whole.length - 1024) / 16) + 1;
  const image = Buffer.alloc(1024 + paragraphs * 16);
  whole.copy(image);
  image.writeUInt32LE(paragraphs, 0x1f4);
  const without = (bytes: number) =>
    refusal(() => parseBzImage(image.subarray(0, image.length - bytes)));
  // The last paragraph need not be whole.
  for (const bytes of [0, 1, 15]) expect(without(bytes)).toBe('nothing refused');
  expect(without(16)).toBe('image/corrupt-bzimage');
});

test('a bzImage whose payload has no length says so, whatever its protocol', () => {
  const image = Buffer.from(makeBzImage(gzipSync(makeVmlinux())));
  image.writeUInt32LE(0, 0x24c);
  expect(() => openKernel(image, 'k').elf()).toThrow('the payload has no length');
});

test('a bzImage with changed header bytes gives a result or a refusal', () => {
  const whole = makeBzImage(gzipSync(makeVmlinux()));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0x1f1, max: 0x270 }), fc.nat(255))),
      (changes) => {
        const damaged = Uint8Array.from(whole);
        for (const [at, value] of changes) damaged[at] = value;
        refusal(() => parseBzImage(damaged));
        refusal(() => openKernel(damaged, 'k').elf());
      },
    ),
    { numRuns: 500 },
  );
});

const DEB_FILES = {
  './boot/System.map-6.1.0-test': Buffer.from('map'),
  './boot/config-6.1.0-test': Buffer.from(
    '# comment\nCONFIG_PVH=y\nCONFIG_NAME="a b"\n# CONFIG_X is not set\n',
  ),
  './boot/vmlinuz-6.1.0-test': makeBzImage(gzipSync(makeVmlinux())),
  './lib/modules/6.1.0-test/kernel/fs/ext4.ko': Buffer.from('module'),
};

test('a kernel package gives kernel, configuration and modules', () => {
  const kernel = openKernel(
    makeDeb('Package: linux-image-test\nVersion: 1:2\n', DEB_FILES),
    'k.deb',
  );
  expect(kernel.version()).toBe('6.1.0-test (build) #1');
  expect([...(kernel.config() ?? [])]).toEqual([
    ['CONFIG_PVH', 'y'],
    ['CONFIG_NAME', 'a b'],
  ]);
  expect(kernel.modules().map(({ path }) => path)).toEqual([
    'lib/modules/6.1.0-test/kernel/fs/ext4.ko',
  ]);
});

test('an installer package gives its text installer: kernel and initrd', () => {
  const folder = './usr/lib/debian-installer/images/12/amd64';
  const kernel = openKernel(
    makeDeb('Package: debian-installer-12-netboot-amd64\n', {
      [`${folder}/gtk/debian-installer/amd64/linux`]: Buffer.from('not this one'),
      [`${folder}/text/debian-installer/amd64/initrd.gz`]: Buffer.from('initrd'),
      [`${folder}/text/debian-installer/amd64/linux`]: makeBzImage(gzipSync(makeVmlinux())),
    }),
    'i.deb',
  );
  expect(kernel.kind).toBe('bzimage');
  expect(Buffer.from(kernel.initrd() ?? []).toString()).toBe('initrd');
  expect(openKernel(makeDeb('Package: k\n', DEB_FILES), 'k.deb').initrd()).toBeNull();
});

test('the control fields of a package are read with their continuation lines', () => {
  const deb = openDeb(makeDeb('Package: p\nDescription: short\n long\n .\n', {}));
  expect(deb.control.get('Package')).toBe('p');
  expect(deb.control.get('Description')).toBe('short\nlong\n.');
});

test('a package without a kernel, or cut off, is refused', () => {
  const meta = makeDeb('Package: meta\n', { './usr/share/doc/copyright': Buffer.from('c') });
  expect(refusal(() => openKernel(meta, 'meta.deb'))).toBe('image/no-kernel');
  const whole = makeDeb('Package: k\n', DEB_FILES);
  for (let length = 0; length < whole.length; length += 37) {
    expect(
      refusal(() => openKernel(whole.subarray(0, length), 'k.deb')),
      `at ${length}`,
    ).toMatch(/^image\//);
  }
});

test('a vmlinux tells its version by its banner and its configuration from inside', () => {
  const packed = gzipSync('CONFIG_PVH=y\n').toString('latin1');
  const kernel = openKernel(makeVmlinux(`IKCFG_ST${packed}IKCFG_ED`), 'vmlinux');
  expect(kernel).toMatchObject({ kind: 'elf', bits: 64, header: null });
  expect(kernel.version()).toBe('6.1.0-test (gcc)');
  expect(kernel.config()?.get('CONFIG_PVH')).toBe('y');
});

test('what is no kernel is refused with a hint', () => {
  for (const bytes of [new Uint8Array(0), Buffer.from('#!/bin/sh\n'), Buffer.alloc(5000)]) {
    expect(refusal(() => openKernel(bytes, 'file'))).toBe('image/not-kernel');
  }
});
