// Start of day on hardware paging, by the protocol that was asked for, or the shortest that the kernel offers.

import { InputError } from '../../base/errors.ts';
import { pvhEntry } from '../../image/index.ts';
import type { Guest, Platform } from '../define.ts';
import { startByMultiboot } from './multiboot.ts';
import { startByPvh } from './pvh.ts';
import { startBySetup } from './setup.ts';
import { startByBzImage, startByZeroPage } from './zero-page.ts';

export function startOfDay(platform: Platform, guest: Guest): void {
  const { boot = 'direct', modules = [], kernel } = guest;
  const multiboot = boot === 'multiboot' || (boot === 'direct' && kernel.multiboot !== null);
  if (modules.length > 0 && !multiboot) {
    throw new InputError(
      'boot/modules',
      `${kernel.name} is not booted by multiboot, and only that has modules`,
      'give a multiboot kernel, or no --module.',
    );
  }
  if (multiboot) return startByMultiboot(platform, guest);
  switch (boot) {
    case 'setup':
      return startBySetup(platform, guest);
    case 'linux32':
      return startByBzImage(platform, guest, 32);
    case 'linux64':
      return startByBzImage(platform, guest, 64);
    case 'pvh':
      return startByPvh(platform, guest, neededPvhEntry(guest));
    case 'direct':
      return startDirectly(platform, guest);
  }
}

/** PVH where the kernel has the note, else the vmlinux's own entry; a bzImage with no vmlinux to be had unpacks itself. */
function startDirectly(platform: Platform, guest: Guest): void {
  const { kernel } = guest;
  if (kernel.bzImage && !kernel.bzImage.payload) {
    return startByBzImage(platform, guest, kernel.bits);
  }
  const entry = pvhEntry(kernel.elf());
  if (entry === null) return startByZeroPage(platform, guest);
  return startByPvh(platform, guest, entry);
}

function neededPvhEntry({ kernel }: Guest): number {
  const entry = pvhEntry(kernel.elf());
  if (entry !== null) return entry;
  throw new InputError(
    'boot/no-pvh',
    `${kernel.name} has no PVH entry (ELF note XEN_ELFNOTE_PHYS32_ENTRY)`,
    'it was built without CONFIG_PVH: say --boot direct.',
  );
}
