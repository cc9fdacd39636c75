// Bitwise and, or, xor, not and test.

import type { Build } from './build.ts';
import type { Flags, Insn, Operand } from './define.ts';
import { aluForms, unaryForms } from './forms.ts';
import type { BinFn } from './ir.ts';

// AF is undefined in the SDM; AMD and Intel processors clear it.
const FLAGS: Flags = { cf: '0', pf: 'w', af: 'u', zf: 'w', sf: 'w', of: '0' };

export const and: Insn = {
  name: 'and',
  ref: 'SDM 2A AND',
  forms: aluForms(0x20, true),
  flags: FLAGS,
  sem: (b, dst, src) => bitwise(b, 'and', dst, src),
};

export const or: Insn = {
  name: 'or',
  ref: 'SDM 2B OR',
  forms: aluForms(0x08, true),
  flags: FLAGS,
  sem: (b, dst, src) => bitwise(b, 'or', dst, src),
};

export const xor: Insn = {
  name: 'xor',
  ref: 'SDM 2C XOR',
  forms: aluForms(0x30, true),
  flags: FLAGS,
  sem: (b, dst, src) => bitwise(b, 'xor', dst, src),
};

export const not: Insn = {
  name: 'not',
  ref: 'SDM 2B NOT',
  forms: unaryForms(0xf6, 2, true),
  sem(b, dst) {
    b.write(dst, b.un('not', b.read(dst)));
  },
};

export const test: Insn = {
  name: 'test',
  ref: 'SDM 2B TEST',
  forms: [
    { op: '84 /r', args: 'Eb,Gb' },
    { op: '85 /r', args: 'Ev,Gv' },
    { op: 'a8', args: 'AL,Ib' },
    { op: 'a9', args: 'eAX,Iz' },
    { op: 'f6 /0', args: 'Eb,Ib' },
    { op: 'f7 /0', args: 'Ev,Iz' },
    { op: 'f6 /1', args: 'Eb,Ib' }, // APM 3, "Test": an alias on every processor.
    { op: 'f7 /1', args: 'Ev,Iz' },
  ],
  flags: FLAGS,
  sem(b, dst, src) {
    const x = b.read(dst);
    b.logicFlags(b.bin('and', x, b.readAs(src, x.width)));
  },
};

function bitwise(b: Build, fn: BinFn, dst: Operand, src: Operand): void {
  const x = b.read(dst);
  const result = b.bin(fn, x, b.readAs(src, x.width));
  b.write(dst, result);
  b.logicFlags(result);
}
