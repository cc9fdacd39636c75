// Names of registers, as the disassembler prints and the assembler reads them.

import type { RegFile } from './isa/compile.ts';

const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const BYTE = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
const HIGH = ['ah', 'ch', 'dh', 'bh'];
export const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;

/** A register as an operand: `number` 16..19 at 8 bits are AH CH DH BH. */
export interface Register {
  readonly file: RegFile;
  readonly size: number;
  readonly number: number;
}

export function registerName(file: RegFile, size: number, number: number): string {
  switch (file) {
    case 'gpr':
      return generalName(size, number);
    case 'seg':
      return SEGMENT_NAMES[number] ?? '?';
    case 'st':
      return `st${number}`;
    case 'xmm':
    case 'mm':
    case 'cr':
    case 'dr':
      return `${file}${number}`;
  }
}

function generalName(size: number, number: number): string {
  if (number >= 16) return HIGH[number - 16] ?? '?';
  if (size === 8) return BYTE[number] ?? `r${number}b`;
  const legacy = LEGACY[number];
  if (size === 16) return legacy ?? `r${number}w`;
  if (size === 32) return legacy ? `e${legacy}` : `r${number}d`;
  return legacy ? `r${legacy}` : `r${number}`;
}

/** Every register by name. The sizes of xmm, cr and dr are left to the form: -1. */
export const REGISTERS: ReadonlyMap<string, Register> = allRegisters();

function allRegisters(): Map<string, Register> {
  const all = new Map<string, Register>();
  const add = (file: RegFile, size: number, count: number, anySize = false) => {
    for (let number = 0; number < count; number++)
      all.set(registerName(file, size, number), { file, size: anySize ? -1 : size, number });
  };
  for (const size of [8, 16, 32, 64]) add('gpr', size, 16);
  HIGH.forEach((name, n) => {
    all.set(name, { file: 'gpr', size: 8, number: 16 + n });
  });
  add('seg', 16, 6);
  add('st', 80, 8);
  add('xmm', 128, 16, true);
  add('mm', 64, 8, true);
  add('cr', 64, 9, true);
  add('dr', 64, 8, true);
  return all;
}
