// A bzImage in memory: where its protected-mode part goes, and how much it needs while it unpacks itself.

import { InputError } from '../../base/errors.ts';
import type { BzImage, KernelImage, SetupHeader } from '../../image/index.ts';
import { HIGH_RAM_START } from '../../machine/memory.ts';
import type { KernelLoad } from './layout.ts';

const LOADED_HIGH = 1 << 0;

export function neededBzImage({ bzImage, name }: KernelImage): BzImage {
  if (!bzImage) {
    throw new InputError(
      'boot/not-bzimage',
      `${name} has no setup header: it is not a bzImage`,
      'give the bzImage (/boot/vmlinuz-*), or boot this file with --boot direct.',
    );
  }
  if ((bzImage.header.loadflags & LOADED_HIGH) === 0) {
    throw new InputError(
      'boot/zimage',
      `${name} is a zImage, which is loaded below 1 MiB`,
      'give a bzImage (make bzImage), whose loadflags have LOADED_HIGH.',
    );
  }
  return bzImage;
}

/**
 * At its preferred address, so that nothing moves: for the 32- and 64-bit entries. The setup code of `--boot setup` jumps
 * to `code32_start`, which is where it wants it then.
 */
export function bzImageLoad({ header, system }: BzImage): { at: number; load: KernelLoad } {
  const at = header.relocatable_kernel ? (header.pref_address ?? HIGH_RAM_START) : HIGH_RAM_START;
  return { at, load: systemAt(header, system, at) };
}

export function systemAt(header: SetupHeader, system: Uint8Array, at: number): KernelLoad {
  // boot.rst, init_size: linear memory from the runtime start on, before the kernel looks at the memory map.
  const runtimeStart = Math.max(at, header.pref_address ?? at);
  return {
    segments: [{ gpa: at, bytes: system, memBytes: system.length }],
    end: runtimeStart + (header.init_size ?? 0),
  };
}
