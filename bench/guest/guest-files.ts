// The files that the machines boot: a pulled kernel, as each of them wants it, and an initramfs around its busybox.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, kernelOfPackage } from '../../src/host/node/index.ts';
import { buildInitramfs, openKernel } from '../../src/lab/index.ts';
import { type Guest, KERNELS } from './machines.ts';
import type { Bits } from './suite.ts';

type InitramfsParts = Omit<Parameters<typeof buildInitramfs>[0], 'busybox'>;

/** Writes them into `folder`. Null: the kernel has not been pulled. */
export async function writeGuest(
  folder: string,
  bits: Bits,
  parts: InitramfsParts,
  append: string,
): Promise<Guest | null> {
  const kernel = KERNELS[bits];
  const pulled = await cached(kernel);
  if (!pulled) return null;
  const found = await kernelOfPackage(pulled);
  const busybox = await found.busybox();
  if (!busybox) return null;
  const file = (name: string) => join(folder, `${name}-${bits}`);
  const guest = {
    bits,
    kernel,
    vmlinux: file('vmlinux'),
    bzImage: file('bzImage'),
    initrd: file('initrd'),
    append,
  };
  writeFileSync(guest.vmlinux, found.kernel.elf().bytes);
  writeFileSync(guest.bzImage, openKernel(readFileSync(pulled.kernelDeb), kernel).bytes);
  writeFileSync(guest.initrd, buildInitramfs({ ...parts, busybox }));
  return guest;
}
