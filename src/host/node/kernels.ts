// What `pvops run KERNEL` means: a path, or the name of a pulled kernel, with the busybox for its initramfs.

import { readFile } from 'node:fs/promises';
import { InputError } from '../../base/errors.ts';
import {
  type KernelImage,
  type ModuleSet,
  openDeb,
  openKernel,
  parseConfig,
  readHeader,
} from '../../lab/index.ts';
import { readUnpacked, writeUnpacked } from './cache.ts';
import { cacheDirectory } from './cache-directory.ts';
import { readUserFile, sha256OfBytes } from './files.ts';
import { modulesInCache, modulesOf } from './modules.ts';
import { cached, looksLikeKernelName, type PulledKernel } from './packages.ts';

/** Room for a bzImage's setup header, wherever its version ends. */
const SETUP_BYTES = 1 << 15;

export interface FoundKernel {
  readonly kernel: KernelImage;
  /** SHA-256 of the file or package. */
  readonly digest: string;
  /** A busybox that this kernel can run; null if none has been pulled. */
  busybox(): Promise<Uint8Array | null>;
  /** What its package has for it: an installer's own; null if it has none. */
  initrd(): Promise<Uint8Array | null>;
  /** Modules of its package by name, with what they need; null if it did not come in a package. */
  modules(names: readonly string[]): Promise<ModuleSet | null>;
}

/** Pulled kernels whose busybox serves kernels that the user brings. */
const BUSYBOX_OF: Readonly<Record<32 | 64, readonly string[]>> = {
  32: ['debian:12/686', 'debian:12/686-pae'],
  64: [
    'debian:12/cloud-amd64',
    'debian:12/amd64',
    'debian:13/cloud-amd64',
    'debian:11/cloud-amd64',
  ],
};

/** `whole`: the bzImage itself is wanted, not just its kernel and its header. */
export async function findKernel(text: string, whole = true): Promise<FoundKernel> {
  if (!looksLikeKernelName(text)) return kernelOfFile(text);
  const pulled = await cached(text);
  if (pulled) return kernelOfPackage(pulled, whole);
  throw new InputError(
    'host/not-pulled',
    `the kernel ${text} has not been pulled`,
    `say: pvops pull ${text}`,
  );
}

async function kernelOfFile(path: string): Promise<FoundKernel> {
  const bytes = await readUserFile(path, 'kernel');
  const kernel = openKernel(bytes, path);
  return {
    kernel,
    digest: sha256OfBytes(bytes),
    busybox: () => anyBusybox(kernel.bits),
    modules: async (names) => modulesOf(kernel, names),
    initrd: async () => kernel.initrd(),
  };
}

/** From the unpacked copies if they are there: unpacking takes seconds, and reading what is not needed tenths. */
export async function kernelOfPackage(pulled: PulledKernel, whole = true): Promise<FoundKernel> {
  const { name, kernelSha256 } = pulled;
  const found = {
    digest: kernelSha256,
    busybox: () => busyboxOf(pulled),
    modules: (names: readonly string[]) => modulesInCache(pulled, names),
    initrd: () => readUnpacked(cacheDirectory(), kernelSha256, 'initrd'),
  };
  const ready = await unpackedKernel(pulled, whole);
  if (ready) return { ...found, kernel: ready };
  const kernel = openKernel(await readFile(pulled.kernelDeb), name);
  await keepUnpacked(kernelSha256, kernel);
  return { ...found, kernel };
}

/** Null if not all of it is there. */
async function unpackedKernel(
  { name, kernelSha256 }: PulledKernel,
  whole: boolean,
): Promise<KernelImage | null> {
  const cache = cacheDirectory();
  const read = (label: string) => readUnpacked(cache, kernelSha256, label);
  const plain = await read('plain');
  if (plain) return openKernel(plain, name);
  const labels = [whole ? 'bzImage' : 'setup', 'vmlinux', 'config'];
  const [image, vmlinux, config] = await Promise.all(labels.map(read));
  if (!image || !vmlinux || !config) return null;
  const known = parseConfig(new TextDecoder().decode(config));
  const { elf, ...unpacked } = openKernel(vmlinux, name);
  if (whole) return { ...openKernel(image, name), elf, config: () => known };
  const header = readHeader(image, name);
  // The header says it too; to find it in a vmlinux is to search all of it.
  const version = () => header.kernel_version || unpacked.version();
  return { ...unpacked, header, version, elf, config: () => known };
}

async function keepUnpacked(sha256: string, kernel: KernelImage): Promise<void> {
  const parts: Record<string, Uint8Array> = {};
  const initrd = kernel.initrd();
  if (initrd) parts.initrd = initrd;
  if (kernel.bzImage?.payload) {
    parts.bzImage = kernel.bytes;
    parts.setup = kernel.bytes.subarray(0, SETUP_BYTES);
    parts.vmlinux = kernel.elf().bytes;
    parts.config = configText(kernel);
  } else {
    parts.plain = kernel.bytes; // Nothing is packed in it: Xen, memtest86+.
  }
  const cache = cacheDirectory();
  for (const [label, bytes] of Object.entries(parts)) {
    await writeUnpacked(cache, sha256, label, bytes);
  }
}

function configText(kernel: KernelImage): Uint8Array {
  const lines = [...(kernel.config() ?? [])].map(([name, value]) => `${name}=${value}\n`);
  return new TextEncoder().encode(lines.join(''));
}

async function busyboxOf({ busyboxDeb, busyboxSha256, name }: PulledKernel): Promise<Uint8Array> {
  const cache = cacheDirectory();
  const ready = await readUnpacked(cache, busyboxSha256, 'busybox');
  if (ready) return ready;
  const entry = openDeb(await readFile(busyboxDeb), busyboxDeb).find(/^(usr\/)?bin\/busybox$/);
  if (!entry) {
    throw new InputError(
      'host/no-busybox',
      `the busybox package of ${name} has no file bin/busybox`,
      'give an initrd of your own: --initrd FILE.',
    );
  }
  await writeUnpacked(cache, busyboxSha256, 'busybox', entry.bytes);
  return entry.bytes;
}

async function anyBusybox(bits: 32 | 64): Promise<Uint8Array | null> {
  for (const name of BUSYBOX_OF[bits]) {
    const pulled = await cached(name);
    if (pulled) return busyboxOf(pulled);
  }
  return null;
}
