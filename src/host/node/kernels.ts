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
import { cacheDirectory, readUnpacked, writeUnpacked } from './cache.ts';
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
  };
}

/** From the unpacked copies if they are there: unpacking takes seconds, and reading what is not needed tenths. */
export async function kernelOfPackage(pulled: PulledKernel, whole = true): Promise<FoundKernel> {
  const { name, kernelSha256 } = pulled;
  const cache = cacheDirectory();
  const labels = [whole ? 'bzImage' : 'setup', 'vmlinux', 'config'];
  const [image, vmlinux, config] = await Promise.all(
    labels.map((label) => readUnpacked(cache, kernelSha256, label)),
  );
  const found = {
    digest: kernelSha256,
    busybox: () => busyboxOf(pulled),
    modules: (names: readonly string[]) => modulesInCache(pulled, names),
  };
  if (image && vmlinux && config) {
    const known = parseConfig(new TextDecoder().decode(config));
    const { elf, ...unpacked } = openKernel(vmlinux, name);
    const packed = whole
      ? openKernel(image, name)
      : { ...unpacked, header: readHeader(image, name) };
    return { ...found, kernel: { ...packed, elf, config: () => known } };
  }
  const kernel = openKernel(await readFile(pulled.kernelDeb), name);
  await writeUnpacked(cache, kernelSha256, 'bzImage', kernel.bytes);
  await writeUnpacked(cache, kernelSha256, 'setup', kernel.bytes.subarray(0, SETUP_BYTES));
  await writeUnpacked(cache, kernelSha256, 'vmlinux', kernel.elf().bytes);
  await writeUnpacked(cache, kernelSha256, 'config', configText(kernel));
  return { ...found, kernel };
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
