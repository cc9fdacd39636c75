// Instructions on single flags, and those that move flags to and from AH.

import type { Build } from './build.ts';
import type { Insn } from './define.ts';
import type { StatusFlag, Value } from './ir.ts';

const DF = 1 << 10;
/** The flags of AH in lahf and sahf, by bit. SDM 1 3.4.3.1. */
const AH_FLAGS: readonly (readonly [StatusFlag, number])[] = [
  ['cf', 0],
  ['pf', 2],
  ['af', 4],
  ['zf', 6],
  ['sf', 7],
];

export const clc: Insn = {
  name: 'clc',
  ref: 'SDM 2A CLC',
  forms: [{ op: 'f8', args: '' }],
  flags: { cf: '0' },
  sem: (b) => b.setFlags({ cf: b.const(1, 0) }),
};

export const stc: Insn = {
  name: 'stc',
  ref: 'SDM 2B STC',
  forms: [{ op: 'f9', args: '' }],
  flags: { cf: '1' },
  sem: (b) => b.setFlags({ cf: b.const(1, 1) }),
};

export const cmc: Insn = {
  name: 'cmc',
  ref: 'SDM 2A CMC',
  forms: [{ op: 'f5', args: '' }],
  flags: { cf: 'rw' },
  sem: (b) => b.setFlags({ cf: b.not1(b.flag('cf')) }),
};

export const cld: Insn = {
  name: 'cld',
  ref: 'SDM 2A CLD',
  forms: [{ op: 'fc', args: '' }],
  flags: { df: '0' },
  sem: (b) => b.setState('eflags', b.bin('and', b.state('eflags', 32), b.const(32, ~DF))),
};

export const std: Insn = {
  name: 'std',
  ref: 'SDM 2B STD',
  forms: [{ op: 'fd', args: '' }],
  flags: { df: '1' },
  sem: (b) => b.setState('eflags', b.bin('or', b.state('eflags', 32), b.const(32, DF))),
};

export const lahf: Insn = {
  name: 'lahf',
  ref: 'SDM 2A LAHF',
  forms: [
    { op: '9f', args: '', only: 'no64' },
    { op: '9f', args: '', only: '64', needs: 'lahf_lm' },
  ],
  flags: { cf: 'r', pf: 'r', af: 'r', zf: 'r', sf: 'r' },
  sem: (b) => b.setAh(b.trunc(statusFlags(b, AH_FLAGS), 8)),
};

export const sahf: Insn = {
  name: 'sahf',
  ref: 'SDM 2B SAHF',
  forms: [
    { op: '9e', args: '', only: 'no64' },
    { op: '9e', args: '', only: '64', needs: 'lahf_lm' },
  ],
  flags: { cf: 'w', pf: 'w', af: 'w', zf: 'w', sf: 'w' },
  sem(b) {
    const ah = b.ah();
    b.setFlags(Object.fromEntries(AH_FLAGS.map(([flag, at]) => [flag, b.bit(ah, at)])));
  },
};

export const salc: Insn = {
  name: 'salc',
  ref: 'APM 3 A.1 table A-1 (d6), SDM 3A 23.15',
  forms: [{ op: 'd6', args: '', only: 'no64' }],
  flags: { cf: 'r' },
  sem: (b) => b.setReg('rax', b.select(b.flag('cf'), b.const(8, 0xff), b.const(8, 0))),
};

/** The low 32 bits of EFLAGS, as pushf stores them: VM and RF read as 0. */
export function flagsImage(b: Build): Value {
  const others = b.bin('and', b.state('eflags', 32), b.const(32, 0xfcffff));
  return b.bin('or', others, statusFlags(b, [...AH_FLAGS, ['of', 11]]));
}

/** The given flags at their places, over bit 1, which is always set. */
function statusFlags(b: Build, flags: readonly (readonly [StatusFlag, number])[]): Value {
  return flags.reduce(
    (sum, [flag, at]) => {
      const bit = b.zext(b.flag(flag), 32);
      return b.bin('or', sum, at === 0 ? bit : b.bin('shl', bit, b.const(32, at)));
    },
    b.const(32, 2),
  );
}
