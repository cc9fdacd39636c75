// Decimal adjustment (not in 64-bit code): aaa aas aam aad daa das.

import type { Build } from './build.ts';
import type { Flags, Insn } from './define.ts';
import type { Value } from './ir.ts';

const DE = 0;
const UNPACKED: Flags = { cf: 'w', af: 'rw', of: 'u', sf: 'u', zf: 'u', pf: 'u' };
const PACKED: Flags = { cf: 'rw', af: 'rw', sf: 'w', zf: 'w', pf: 'w', of: 'u' };
const BY_BASE: Flags = { sf: 'w', zf: 'w', pf: 'w', of: 'u', af: 'u', cf: 'u' };

export const aaa: Insn = {
  name: 'aaa',
  ref: 'SDM 2A AAA',
  forms: [{ op: '37', args: '', only: 'no64' }],
  flags: UNPACKED,
  sem: (b) => adjustUnpacked(b, 0x106),
};

export const aas: Insn = {
  name: 'aas',
  ref: 'SDM 2A AAS',
  forms: [{ op: '3f', args: '', only: 'no64' }],
  flags: UNPACKED,
  sem: (b) => adjustUnpacked(b, -0x106),
};

export const aam: Insn = {
  name: 'aam',
  ref: 'SDM 2A AAM',
  forms: [{ op: 'd4', args: 'Ib', only: 'no64' }],
  flags: BY_BASE,
  sem(b, base) {
    const divisor = b.zext(b.readAs(base, 8), 32);
    b.faultIf(b.isZero(divisor), DE, null);
    const al = b.zext(b.reg('rax', 8), 32);
    const digit = b.trunc(b.bin('remu', al, divisor), 8);
    setAx(b, b.trunc(b.bin('divu', al, divisor), 8), digit);
    b.mixFlags(digit, {});
  },
};

export const aad: Insn = {
  name: 'aad',
  ref: 'SDM 2A AAD',
  forms: [{ op: 'd5', args: 'Ib', only: 'no64' }],
  flags: BY_BASE,
  sem(b, base) {
    const tens = b.bin('mul', b.ah(), b.readAs(base, 8));
    const al = b.bin('add', b.reg('rax', 8), tens);
    b.setReg('rax', b.zext(al, 16));
    b.mixFlags(al, {});
  },
};

export const daa: Insn = {
  name: 'daa',
  ref: 'SDM 2A DAA',
  forms: [{ op: '27', args: '', only: 'no64' }],
  flags: PACKED,
  sem: (b) => adjustPacked(b, 'add'),
};

export const das: Insn = {
  name: 'das',
  ref: 'SDM 2A DAS',
  forms: [{ op: '2f', args: '', only: 'no64' }],
  flags: PACKED,
  sem: (b) => adjustPacked(b, 'sub'),
};

/** A low digit above 9, or the half carry of the operation before. */
function needsAdjustment(b: Build, al: Value): Value {
  const digit = b.bin('and', al, b.const(8, 0xf));
  return b.or1(b.cmp('ltu', b.const(8, 9), digit), b.flag('af'));
}

function adjustUnpacked(b: Build, by: number): void {
  const adjust = needsAdjustment(b, b.reg('rax', 8));
  const sum = b.bin('add', b.reg('rax', 16), b.select(adjust, b.const(16, by), b.const(16, 0)));
  b.setReg('rax', b.bin('and', sum, b.const(16, 0xff0f)));
  b.setFlags({ cf: adjust, af: adjust });
}

function adjustPacked(b: Build, fn: 'add' | 'sub'): void {
  const al = b.reg('rax', 8);
  const low = needsAdjustment(b, al);
  const high = b.or1(b.cmp('ltu', b.const(8, 0x99), al), b.flag('cf'));
  const six = b.bin(fn, al, b.select(low, b.const(8, 6), b.const(8, 0)));
  const result = b.bin(fn, six, b.select(high, b.const(8, 0x60), b.const(8, 0)));
  // Only das can borrow in its first step without doing the second.
  const borrow = b.and1(low, b.cmp('ltu', al, b.const(8, 6)));
  b.setReg('rax', result);
  b.mixFlags(result, { cf: fn === 'sub' ? b.or1(high, borrow) : high, af: low });
}

function setAx(b: Build, ah: Value, al: Value): void {
  const upper = b.bin('shl', b.zext(ah, 16), b.const(16, 8));
  b.setReg('rax', b.bin('or', upper, b.zext(al, 16)));
}
