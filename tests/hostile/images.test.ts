// Damaged images of every kind, and files whose sizes lie: a refusal with a code and a hint, in bounded work and memory.

import { afterAll, describe, expect, test } from 'vitest';
import { native } from '../../src/hypervisors/native/index.ts';
import { testPlatform } from '../../src/hypervisors/testing/platform.ts';
import { readTar } from '../../src/image/archive/tar.ts';
import { CODECS } from '../../src/image/codec/detect.ts';
import { elfNotes, loadSegments, openKernel, parseElf } from '../../src/image/index.ts';
import { elfFile } from '../../src/image/testing/elf-file.ts';
import { PVH_NOTE } from '../image/build.ts';
import { CODEC_FIXTURES } from '../image/codec-fixtures.ts';
import { allocated } from './allocated.ts';
import {
  driveImage,
  lyingXz,
  multibootElf,
  paxTar,
  refused,
  repeatSegment,
  samples,
} from './image.ts';
import { WorkCounter } from './work.ts';

const SEEDS = 12;
/** Pieces of code for so many damaged files, opened and started. */
const BLOCKS_MAX = 30_000_000;
const BYTES_MAX = 64 << 20;
const VMLINUX_LIMIT = 1 << 30;

const counter = new WorkCounter('/src/');
afterAll(() => counter.close());

test.each(samples().map((sample) => [sample.name, sample] as const))(
  '%s, damaged, is used or refused',
  (name, sample) => {
    expect(refused(() => sample.use(sample.bytes, 'direct'))).toBeNull();
    counter.take();
    for (let seed = 1; seed <= SEEDS; seed++) driveImage(sample, seed);
    expect(counter.take(), `npm run fuzz -- --only image:${name}`).toBeLessThan(BLOCKS_MAX);
  },
);

const codec = (name: string) => CODECS.find((each) => each.name === name)!;
const fixture = (name: string, title = '') =>
  Uint8Array.from(
    Buffer.from(
      CODEC_FIXTURES.find((each) => each.codec === name && each.title.includes(title))!.base64,
      'base64',
    ),
  );

describe('a length that lies', () => {
  /** The refusal, how much memory was asked for, and how much work it was. */
  function cost(act: () => unknown) {
    counter.take();
    const { code, bytes } = allocated(() => refused(act));
    return { code, bytes, blocks: counter.take() };
  }

  test('lzma: 1 GiB declared by a few hundred bytes', () => {
    const bytes = fixture('lzma');
    new DataView(bytes.buffer).setBigUint64(5, BigInt(VMLINUX_LIMIT), true);
    const { code, bytes: asked } = cost(() => codec('lzma').decode(bytes, VMLINUX_LIMIT));
    expect(code).toMatch(/^image\//);
    expect(asked).toBeLessThan(BYTES_MAX);
  });

  test('xz: an index that says 1 TiB', () => {
    const { code, bytes: asked } = cost(() => codec('xz').decode(lyingXz(), VMLINUX_LIMIT));
    expect(code).toMatch(/^image\//);
    expect(asked).toBeLessThan(BYTES_MAX);
  });

  test('zstd: thousands of empty frames', () => {
    const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00];
    const bytes = Uint8Array.from({ length: 9 * 3000 }, (_, n) => frame[n % 9]!);
    const { code, bytes: asked } = cost(() => codec('zstd').decode(bytes, VMLINUX_LIMIT));
    expect(code).toBe('image/corrupt-zstd');
    expect(asked).toBeLessThan(1 << 29);
  });

  test('bzip2: a thousand empty streams', () => {
    const stream = [...Buffer.from('BZh9'), 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0];
    const bytes = Uint8Array.from({ length: 14 * 1000 }, (_, n) => stream[n % 14]!);
    const { code, bytes: asked } = cost(() => codec('bzip2').decode(bytes, VMLINUX_LIMIT));
    expect(code).toBeNull();
    expect(asked).toBeLessThan(BYTES_MAX);
  });

  test('tar: a pax header whose last record has no length', () => {
    const archive = paxTar('11 path=ab\nXYZ');
    expect(refused(() => readTar(archive))).toBe('image/corrupt-tar');
  });

  test('ELF: note segments that lie over each other', () => {
    const note = { name: 'Xen', type: 99, desc: new Uint8Array(4) };
    const bytes = elfFile({ bits: 64, loads: [], notes: Array.from({ length: 2000 }, () => note) });
    const many = repeatSegment(bytes, 4096);
    const { code, blocks } = cost(() => elfNotes(parseElf(many)));
    expect(code).toBe('image/corrupt-elf');
    expect(blocks).toBeLessThan(BLOCKS_MAX);
  });

  test('ELF: segments that lie over each other are not written one after the other', () => {
    const load = { paddr: 0x1000000 - 0x800000, bytes: new Uint8Array(16), memBytes: 0x700000 };
    const loads = Array.from({ length: 200 }, () => load);
    const elf = elfFile({ bits: 64, entry: 0x1000000, loads, notes: [PVH_NOTE] });
    expect(loadSegments(parseElf(elf))).toHaveLength(200);
    const start = native.attach(testPlatform(), '');
    const kernel = openKernel(elf, 'k');
    expect(
      refused(() => start.start({ kernel, initrd: null, commandLine: '', boot: 'direct' })),
    ).toBe('boot/kernel-too-large');
  });

  test('ELF: a multiboot kernel that is to be entered above 4 GiB', () => {
    const elf = multibootElf(64);
    new DataView(elf.buffer, elf.byteOffset).setBigUint64(24, 1n << 40n, true);
    const { start } = native.attach(testPlatform(), '');
    const kernel = openKernel(elf, 'k');
    const act = () => start({ kernel, initrd: null, commandLine: '', boot: 'multiboot' });
    expect(refused(act)).toBe('image/corrupt-multiboot');
  });
});
