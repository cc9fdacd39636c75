// The Xen programs as kernel files, PV and PVH: an ELF of one segment for the text, one that is all zeros, and Xen's notes.

import { createHash } from 'node:crypto';
import { elfFile, PF_RWX } from '../../src/image/testing/elf-file.ts';
import * as at from './layout.ts';
import type { XenProgram } from './program.ts';
import type { PvhProgram } from './pvh-program.ts';
import { assemblePvhGuest } from './pvh-runtime.ts';
import { assembleGuest } from './runtime.ts';

/** xen/include/public/elfnote.h */
type Note = readonly [type: number, value: bigint | string | number];
const PHYS32_ENTRY = 18; // XEN_ELFNOTE_PHYS32_ENTRY
const NOTES: readonly Note[] = [
  [1, BigInt.asUintN(64, BigInt(at.TEXT))], // XEN_ELFNOTE_ENTRY
  [3, BigInt.asUintN(64, BigInt(at.VIRT_BASE))], // XEN_ELFNOTE_VIRT_BASE
  [4, 0n], // XEN_ELFNOTE_PADDR_OFFSET
  [5, 'xen-3.0'], // XEN_ELFNOTE_XEN_VERSION
  [6, 'pvops'], // XEN_ELFNOTE_GUEST_OS
  [8, 'generic'], // XEN_ELFNOTE_LOADER
];

/** What a recorded answer belongs to: the program's text where it would be the first. */
export function digest(code: string): string {
  return createHash('sha256').update(code).digest('hex').slice(0, 8);
}

export const pvKernel = (all: readonly XenProgram[]): Uint8Array =>
  kernelFile(assembleGuest(all), all.length, NOTES);

export const pvhKernel = (all: readonly PvhProgram[]): Uint8Array =>
  kernelFile(assemblePvhGuest(all), all.length, [[PHYS32_ENTRY, at.physical(at.ENTRY)]]);

function kernelFile(text: Uint8Array, count: number, notes: readonly Note[]): Uint8Array {
  const zeros = (at.PAGES_PAGE + count * at.PAGES_EACH - at.KEPT_PAGE) * 4096;
  return elfFile({
    bits: 64,
    flags: PF_RWX, // Xen's toolstack loads no segment without flags.
    loads: [
      { paddr: at.TEXT_PAGE * 4096, bytes: text },
      { paddr: at.KEPT_PAGE * 4096, bytes: new Uint8Array(0), memBytes: zeros },
    ],
    notes: notes.map(([type, value]) => ({ name: 'Xen', type, desc: description(value) })),
  });
}

/** A text, or a number of 64 bits, or one of 32. */
function description(value: bigint | string | number): Uint8Array {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  if (typeof value === 'number') return new Uint8Array(Uint32Array.of(value).buffer);
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
