// Damaged files of every kind that is opened as a kernel or packs one: mutations by seed, opened, looked at and started.

import { gzipSync } from 'node:zlib';
import { InputError } from '../../src/base/errors.ts';
import { BOOT_WAYS, type BootWay } from '../../src/hypervisors/index.ts';
import { native } from '../../src/hypervisors/native/index.ts';
import { testPlatform } from '../../src/hypervisors/testing/platform.ts';
import { tinyBzImage } from '../../src/hypervisors/testing/tiny-bzimage.ts';
import { CODECS, detect } from '../../src/image/codec/detect.ts';
import {
  elfSymbols,
  type KernelImage,
  loadSegments,
  openKernel,
  pvhEntry,
  readAr,
  readCpio,
  readTar,
  writeCpio,
} from '../../src/image/index.ts';
import { elfFile } from '../../src/image/testing/elf-file.ts';
import { makeBzImage, makeDeb, makeTar, makeVmlinux } from '../image/build.ts';
import { CODEC_FIXTURES } from '../image/codec-fixtures.ts';
import { payloadImages } from '../image/payload.ts';
import { Chance } from './chance.ts';

/** What codecs may give here: a good deal more than any of the files holds. */
const LIMIT = 1 << 20;

export interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Does with the file what pvops does; an `InputError` is a good end. `boot` is for kernels. */
  use(bytes: Uint8Array, boot: BootWay): void;
}

/** Files that are well-formed, one at least of each kind. */
export function samples(): readonly Sample[] {
  const start = starter();
  const kernel = (name: string, bytes: Uint8Array): Sample => ({
    name,
    bytes,
    use: (b, boot) => useKernel(b, boot, start),
  });
  const bzImage = makeBzImage(gzipSync(makeVmlinux()));
  const deb = makeDeb('Package: linux-image-test\nVersion: 1\n', {
    './boot/config-6.1.0-test': Buffer.from('CONFIG_PVH=y\n'),
    './boot/vmlinuz-6.1.0-test': bzImage,
  });
  const tar = makeTar({ 'a/file': Buffer.from('content'), 'a/other': new Uint8Array(600) });
  const cpio = writeCpio([
    { kind: 'directory', path: 'dev', mode: 0o755 },
    { kind: 'char', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'symlink', path: 'init', target: 'bin/init' },
    { kind: 'file', path: 'bin/init', mode: 0o755, bytes: Buffer.from('#!') },
  ]);
  return [
    kernel('vmlinux64', makeVmlinux()),
    kernel('vmlinux32', multibootElf(32)),
    kernel('bzimage', bzImage),
    kernel('bzimage-setup', tinyBzImage({ system: [0xf4] })),
    kernel('deb', deb),
    ...payloadImages().map(({ codec, bytes }) => kernel(`bzimage-${codec}`, bytes)),
    { name: 'ar', bytes: deb, use: (bytes) => void readAr(bytes) },
    { name: 'tar', bytes: tar, use: (bytes) => void readTar(bytes) },
    { name: 'tar-pax', bytes: paxTar(), use: (bytes) => void readTar(bytes) },
    { name: 'cpio', bytes: cpio, use: (bytes) => void readCpio(bytes) },
    ...CODEC_FIXTURES.map(({ codec, title, base64 }) => ({
      name: `codec-${title}`.replaceAll(/[ ,]+/g, '-'),
      bytes: Uint8Array.from(Buffer.from(base64, 'base64')),
      use: (bytes: Uint8Array) => decode(codec, bytes),
    })),
  ];
}

/** An ELF file with a multiboot header in its only segment. */
export function multibootElf(bits: 32 | 64): Uint8Array {
  const text = new Uint8Array(64);
  new DataView(text.buffer).setUint32(0, 0x1badb002, true);
  new DataView(text.buffer).setUint32(8, -0x1badb002, true);
  return elfFile({
    bits,
    entry: 0x1000000,
    loads: [{ paddr: 0x1000000, bytes: text, memBytes: 0x2000 }],
  });
}

/** A tar archive whose first member is a pax header with these records. */
export function paxTar(records = '19 path=some/where\n10 size=7\n'): Uint8Array {
  const archive = makeTar({ pax: Buffer.from(records), short: Buffer.from('content') });
  archive[156] = 'x'.charCodeAt(0);
  let sum = 8 * 0x20; // The checksum counts its own field as spaces.
  for (let n = 0; n < 512; n++) if (n < 148 || n >= 156) sum += archive[n]!;
  archive.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return archive;
}

/** A 64-bit ELF file whose first program header comes so many times, from a table at its end. */
export function repeatSegment(elf: Uint8Array, times: number): Uint8Array {
  const entry = elf.slice(64, 64 + 56);
  const bytes = new Uint8Array(elf.length + times * entry.length);
  bytes.set(elf);
  for (let n = 0; n < times; n++) bytes.set(entry, elf.length + n * entry.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, BigInt(elf.length), true);
  view.setUint16(56, times, true);
  return bytes;
}

/** A stream header, an index of one block of 1 TiB, and the footer that leads to it (xz-file-format.txt 2.1, 4). */
export function lyingXz(): Uint8Array {
  const header = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 1, 0x69, 0x22, 0xde, 0x36];
  const index = [0, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0, 0, ...[0, 0, 0, 0]];
  const footer = [0, 0, 0, 0, index.length / 4 - 1, 0, 0, 0, 0, 1, 0x59, 0x5a];
  return Uint8Array.from([...header, ...index, ...footer]);
}

function decode(codec: string, bytes: Uint8Array): void {
  const known = CODECS.find(({ name }) => name === codec)!;
  const out = (detect(bytes) ?? known).decode(bytes, LIMIT);
  if (out.length > LIMIT) throw new Error(`${codec} gave ${out.length} bytes`);
}

type Start = (kernel: KernelImage, boot: BootWay) => void;

/** Starts kernels on one machine: each start of day writes over the one before. */
function starter(): Start {
  const attached = native.attach(testPlatform(), '');
  const initrd = Uint8Array.of(1, 2, 3);
  return (kernel, boot) => {
    refused(() => attached.start({ kernel, boot, initrd, commandLine: 'console=ttyS0' }));
  };
}

function useKernel(bytes: Uint8Array, boot: BootWay, start: Start): void {
  const kernel = openKernel(bytes, 'file');
  refused(() => kernel.version());
  refused(() => kernel.config());
  refused(() => kernel.modules());
  refused(() => {
    const elf = kernel.elf();
    for (const look of [loadSegments, elfSymbols, pvhEntry]) refused(() => look(elf));
  });
  start(kernel, boot);
}

/** Runs `act` and answers the code that it was refused with; anything else that is thrown goes on. */
export function refused(act: () => unknown): string | null {
  try {
    act();
    return null;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (error.message === '' || error.hint === '') throw new Error(`${error.code} says nothing`);
    return error.code;
  }
}

/** One damaged copy, used; whatever is thrown is no `InputError`. */
export function driveImage(sample: Sample, seed: number): void {
  const chance = new Chance(seed);
  const boot = chance.pick(BOOT_WAYS);
  refused(() => sample.use(damage(chance, sample.bytes), boot));
}

/** A copy with some bytes flipped, numbers set to what no writer would, ranges moved, or its end cut off. */
export function damage(chance: Chance, whole: Uint8Array): Uint8Array {
  let bytes = Uint8Array.from(whole);
  for (let n = chance.below(6); n >= 0; n--) {
    if (bytes.length < 8) break;
    const end = chance.oneIn(3) ? bytes.length : Math.min(bytes.length, 0x300);
    const at = chance.below(end - 4);
    switch (chance.below(6)) {
      case 0:
        bytes[at] = bytes[at]! ^ (1 << chance.below(8));
        break;
      case 1:
        bytes[at] = chance.below(256);
        break;
      case 2:
        new DataView(bytes.buffer).setUint32(at, chance.value(), true);
        break;
      case 3:
        new DataView(bytes.buffer).setUint16(at, chance.value() & 0xffff, true);
        break;
      case 4:
        bytes.copyWithin(at, chance.below(bytes.length), chance.below(bytes.length));
        break;
      default:
        if (chance.oneIn(3)) bytes = bytes.slice(0, chance.below(bytes.length));
    }
  }
  return bytes;
}
