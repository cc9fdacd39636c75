// A bzImage of a few bytes for tests: a setup header, 16-bit code behind it, and a protected-mode part.

import { Assembler } from '../../cpu/asm.ts';

/** Where the 16-bit code begins, behind a header of protocol 2.15; an offset in the file and in the data segments. */
export const SETUP_CODE_AT = 0x26c;
export const PREF_ADDRESS = 0x200000;
export const INIT_SIZE = 0x40000;
const SETUP_BYTES = 0x400;

export interface TinyBzImage {
  /** Assembly text; offsets in memory operands are those of the file. */
  readonly code16?: string;
  readonly system?: readonly number[];
  readonly xloadflags?: number;
}

export function tinyBzImage({
  code16 = 'hlt',
  system = [0xf4],
  xloadflags = 1,
}: TinyBzImage): Uint8Array {
  const bytes = new Uint8Array(SETUP_BYTES + system.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, SETUP_BYTES / 512 - 1);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set([0xeb, SETUP_CODE_AT - 0x202], 0x200);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint8(0x211, 1); // LOADED_HIGH
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, 0x37ffffff, true);
  view.setUint32(0x230, 0x1000, true);
  view.setUint8(0x234, 1); // Relocatable.
  view.setUint16(0x236, xloadflags, true);
  view.setUint32(0x238, 255, true);
  view.setUint32(0x258, PREF_ADDRESS, true);
  view.setUint32(0x260, INIT_SIZE, true);
  bytes.set(new Assembler(16, SETUP_CODE_AT - 0x200).text(code16).finish(), SETUP_CODE_AT);
  bytes.set(system, SETUP_BYTES);
  return bytes;
}
