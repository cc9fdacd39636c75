// The Xen programs as a kernel file: an ELF of one segment for the text, one that is all zeros, and Xen's notes.

import { createHash } from 'node:crypto';
import { elfFile, PF_RWX } from '../../src/image/testing/elf-file.ts';
import * as at from './layout.ts';
import { partsOf, type XenProgram } from './program.ts';
import { assembleGuest } from './runtime.ts';

/** xen/include/public/elfnote.h */
const NOTES: readonly (readonly [type: number, value: bigint | string])[] = [
  [1, BigInt.asUintN(64, BigInt(at.TEXT))], // XEN_ELFNOTE_ENTRY
  [3, BigInt.asUintN(64, BigInt(at.VIRT_BASE))], // XEN_ELFNOTE_VIRT_BASE
  [4, 0n], // XEN_ELFNOTE_PADDR_OFFSET
  [5, 'xen-3.0'], // XEN_ELFNOTE_XEN_VERSION
  [6, 'pvops'], // XEN_ELFNOTE_GUEST_OS
  [8, 'generic'], // XEN_ELFNOTE_LOADER
];

/** What a recorded answer belongs to: the program's text where it would be the first. */
export function digest(program: XenProgram): string {
  return createHash('sha256')
    .update(program.code(partsOf(0)))
    .digest('hex')
    .slice(0, 8);
}

export function kernelFile(all: readonly XenProgram[]): Uint8Array {
  const text = assembleGuest(all);
  const zeros = (at.PAGES_PAGE + all.length * at.PAGES_EACH - at.KEPT_PAGE) * 4096;
  return elfFile({
    bits: 64,
    flags: PF_RWX, // Xen's toolstack loads no segment without flags.
    loads: [
      { paddr: at.TEXT_PAGE * 4096, bytes: text },
      { paddr: at.KEPT_PAGE * 4096, bytes: new Uint8Array(0), memBytes: zeros },
    ],
    notes: NOTES.map(([type, value]) => ({ name: 'Xen', type, desc: description(value) })),
  });
}

function description(value: bigint | string): Uint8Array {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
