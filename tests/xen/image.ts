// The Xen programs as a kernel file: an ELF of one segment for the text, one that is all zeros, and Xen's notes.

import { createHash } from 'node:crypto';
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
const [PT_LOAD, PT_NOTE] = [1, 4];
const [HEADER, PROGRAM_HEADER] = [64, 56];

/** What a recorded answer belongs to: the program's text where it would be the first. */
export function digest(program: XenProgram): string {
  return createHash('sha256')
    .update(program.code(partsOf(0)))
    .digest('hex')
    .slice(0, 8);
}

export function kernelFile(all: readonly XenProgram[]): Uint8Array {
  const text = assembleGuest(all);
  const notes = noteBytes();
  const notesAt = HEADER + 3 * PROGRAM_HEADER;
  const textAt = notesAt + notes.length;
  const bytes = new Uint8Array(textAt + text.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt.asUintN(64, BigInt(at.TEXT)), true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 3, true);
  const segment = (n: number, type: number, words: readonly number[]) => {
    const header = HEADER + n * PROGRAM_HEADER;
    view.setUint32(header, type, true);
    view.setUint32(header + 4, 7, true);
    words.forEach((word, m) => {
      view.setBigUint64(header + 8 + m * 8, BigInt.asUintN(64, BigInt(word)), true);
    });
  };
  const zeros = (at.PAGES_PAGE + all.length * at.PAGES_EACH - at.KEPT_PAGE) * 4096;
  const textGpa = at.TEXT_PAGE * 4096;
  segment(0, PT_LOAD, [textAt, at.TEXT, textGpa, text.length, text.length, 4096]);
  segment(1, PT_LOAD, [0, at.CATCH, at.KEPT_PAGE * 4096, 0, zeros, 4096]);
  segment(2, PT_NOTE, [notesAt, 0, 0, notes.length, notes.length, 4]);
  bytes.set(notes, notesAt);
  bytes.set(text, textAt);
  return bytes;
}

function noteBytes(): Uint8Array {
  const parts: number[] = [];
  for (const [type, value] of NOTES) {
    const desc =
      typeof value === 'string'
        ? [...Buffer.from(`${value}\0`)]
        : Array.from({ length: 8 }, (_, n) => Number((value >> BigInt(n * 8)) & 255n));
    parts.push(4, 0, 0, 0, desc.length, 0, 0, 0, type, 0, 0, 0, 0x58, 0x65, 0x6e, 0, ...desc);
    while (parts.length % 4 !== 0) parts.push(0);
  }
  return Uint8Array.from(parts);
}
