// The kernel as an ELF file: one segment of code, data and zeros, and one of notes.

import type { Emitter } from './emitter.ts';
import { IMAGE_AT } from './emitter.ts';

const [PT_LOAD, PT_NOTE] = [1, 4];
const RWX = 7;
const HEADER = { 32: 52, 64: 64 } as const;
const PROGRAM_HEADER = { 32: 32, 64: 56 } as const;
const PAGE = 4096;
const [EM_386, EM_X86_64] = [3, 62];

export interface ElfParts {
  readonly bits: 32 | 64;
  /** From `IMAGE_AT` on. */
  readonly image: Uint8Array;
  /** With the zeros behind. */
  readonly memoryBytes: number;
  readonly entry: number;
  /** Where the notes lie in the image. */
  readonly notes: { readonly at: number; readonly bytes: number };
}

/** The image begins at the second page of the file, where the offset and the address are congruent (gABI, program loading). */
export function elfFile({ bits, image, memoryBytes, entry, notes }: ElfParts): Uint8Array {
  const bytes = new Uint8Array(PAGE + image.length);
  const view = new DataView(bytes.buffer);
  const wide = bits === 64;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, wide ? EM_X86_64 : EM_386, true);
  view.setUint32(20, 1, true);
  const word = (at: number, value: number) =>
    wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  word(24, entry);
  word(wide ? 32 : 28, HEADER[bits]);
  const tail = wide ? 52 : 40;
  for (const [n, value] of [HEADER[bits], PROGRAM_HEADER[bits], 2].entries())
    view.setUint16(tail + n * 2, value, true);
  const segment = (n: number, type: number, address: number, fileBytes: number, memory: number) => {
    const at = HEADER[bits] + n * PROGRAM_HEADER[bits];
    const fields = [PAGE + address - IMAGE_AT, address, address, fileBytes, memory];
    view.setUint32(at, type, true);
    view.setUint32(at + (wide ? 4 : 24), RWX, true);
    for (const [m, value] of fields.entries()) word(at + (wide ? 8 + m * 8 : 4 + m * 4), value);
    word(at + (wide ? 48 : 28), type === PT_LOAD ? PAGE : 4);
  };
  segment(0, PT_LOAD, IMAGE_AT, image.length, memoryBytes);
  segment(1, PT_NOTE, notes.at, notes.bytes, notes.bytes);
  bytes.set(image, PAGE);
  return bytes;
}

/** One ELF note: names and values padded to 4 bytes (gABI, note section). */
export function emitNote(
  code: Emitter,
  owner: string,
  type: number,
  value: Uint8Array | string,
): void {
  const label = typeof value === 'string';
  code
    .dd(owner.length + 1, label ? code.word : value.length, type)
    .string(owner)
    .align(4);
  if (label) code.dw(value);
  else code.bytes(value).align(4);
}
