// Shifts and rotates, by one operand or through two.

import type { Build } from './build.ts';
import type { Flags, Form, Insn, Operand } from './define.ts';
import { shiftForms } from './forms.ts';
import type { Value, Width } from './ir.ts';

// OF is defined for counts of 1 only; larger ones give what the formula for 1 gives on the result. AF is cleared.
const SHIFT_FLAGS: Flags = { cf: 'w', pf: 'w', af: 'u', zf: 'w', sf: 'w', of: 'w' };
const ROTATE_FLAGS: Flags = { cf: 'w', of: 'w' };
const CARRY_ROTATE_FLAGS: Flags = { cf: 'rw', of: 'w' };

export const shl: Insn = {
  name: 'shl',
  ref: 'SDM 2B SAL/SAR/SHL/SHR',
  forms: [...shiftForms(4), ...shiftForms(6)], // /6 is an alias: APM 3, "SAL, SHL".
  flags: SHIFT_FLAGS,
  sem(b, dst, by) {
    const x = b.read(dst);
    const count = maskedCount(b, by, x.width);
    const wide = workWidth(x.width);
    const n = atWidth(b, count, wide);
    const shifted = b.bin('shl', b.zext(x, wide), n);
    const result = b.trunc(shifted, x.width);
    const carry = wide > x.width ? b.bit(shifted, x.width) : lowBit(b, b.bin('rotl', x, n));
    b.write(dst, result);
    shiftFlags(b, by, count, result, carry, b.bin('xor', b.sign(result), carry));
  },
};

export const shr: Insn = {
  name: 'shr',
  ref: 'SDM 2B SAL/SAR/SHL/SHR',
  forms: shiftForms(5),
  flags: SHIFT_FLAGS,
  sem: (b, dst, by) => shiftRight(b, 'shr', dst, by),
};

export const sar: Insn = {
  name: 'sar',
  ref: 'SDM 2B SAL/SAR/SHL/SHR',
  forms: shiftForms(7),
  flags: SHIFT_FLAGS,
  sem: (b, dst, by) => shiftRight(b, 'sar', dst, by),
};

export const rol: Insn = {
  name: 'rol',
  ref: 'SDM 2B RCL/RCR/ROL/ROR',
  forms: shiftForms(0),
  flags: ROTATE_FLAGS,
  sem(b, dst, by) {
    const x = b.read(dst);
    const count = maskedCount(b, by, x.width);
    const result = b.bin('rotl', x, rotateCount(b, count, x.width));
    const carry = lowBit(b, result);
    b.write(dst, result);
    rotateFlags(b, by, count, carry, b.bin('xor', b.sign(result), carry));
  },
};

export const ror: Insn = {
  name: 'ror',
  ref: 'SDM 2B RCL/RCR/ROL/ROR',
  forms: shiftForms(1),
  flags: ROTATE_FLAGS,
  sem(b, dst, by) {
    const x = b.read(dst);
    const count = maskedCount(b, by, x.width);
    const result = b.bin('rotr', x, rotateCount(b, count, x.width));
    b.write(dst, result);
    rotateFlags(b, by, count, b.sign(result), topBitsDiffer(b, result));
  },
};

export const rcl: Insn = {
  name: 'rcl',
  ref: 'SDM 2B RCL/RCR/ROL/ROR',
  forms: shiftForms(2),
  flags: CARRY_ROTATE_FLAGS,
  sem(b, dst, by) {
    const carryIn = b.flag('cf');
    const x = b.read(dst);
    const count = carryRotateCount(b, maskedCount(b, by, x.width), x.width);
    const { result, carry } = rotateThroughCarry(b, 'left', x, carryIn, count);
    b.write(dst, result);
    rotateFlags(b, by, count, carry, b.bin('xor', b.sign(result), carry));
  },
};

export const rcr: Insn = {
  name: 'rcr',
  ref: 'SDM 2B RCL/RCR/ROL/ROR',
  forms: shiftForms(3),
  flags: CARRY_ROTATE_FLAGS,
  sem(b, dst, by) {
    const carryIn = b.flag('cf');
    const x = b.read(dst);
    const count = carryRotateCount(b, maskedCount(b, by, x.width), x.width);
    const { result, carry } = rotateThroughCarry(b, 'right', x, carryIn, count);
    b.write(dst, result);
    rotateFlags(b, by, count, carry, topBitsDiffer(b, result));
  },
};

export const shld: Insn = {
  name: 'shld',
  ref: 'SDM 2B SHLD',
  forms: doubleForms('a4'),
  flags: SHIFT_FLAGS,
  sem: (b, dst, src, by) => shiftDouble(b, 'left', dst, src, by),
};

export const shrd: Insn = {
  name: 'shrd',
  ref: 'SDM 2B SHRD',
  forms: doubleForms('ac'),
  flags: SHIFT_FLAGS,
  sem: (b, dst, src, by) => shiftDouble(b, 'right', dst, src, by),
};

function doubleForms(opcode: 'a4' | 'ac'): Form[] {
  return [
    { op: `0f ${opcode} /r`, args: 'Ev,Gv,Ib' },
    { op: `0f ${opcode === 'a4' ? 'a5' : 'ad'} /r`, args: 'Ev,Gv,CL' },
  ];
}

function shiftRight(b: Build, fn: 'shr' | 'sar', dst: Operand, by: Operand): void {
  const x = b.read(dst);
  const count = maskedCount(b, by, x.width);
  const wide = workWidth(x.width);
  const value = b.cast(fn === 'shr' ? 'zext' : 'sext', x, wide);
  const result = b.trunc(b.bin(fn, value, atWidth(b, count, wide)), x.width);
  const carry = lowBit(b, b.bin(fn, value, oneLess(b, count, wide)));
  b.write(dst, result);
  shiftFlags(b, by, count, result, carry, topBitsDiffer(b, result));
}

function shiftDouble(
  b: Build,
  to: 'left' | 'right',
  dst: Operand,
  src: Operand,
  by: Operand,
): void {
  const x = b.read(dst);
  const filler = b.read(src);
  const count = maskedCount(b, by, x.width);
  const shift = x.width === 16 ? shiftWords : shiftPair;
  const { result, carry } = shift(b, to, x, filler, count);
  b.write(dst, result);
  const signChanged = b.bin('xor', b.sign(result), b.sign(x));
  shiftFlags(b, by, count, result, carry, signChanged);
}

interface Shifted {
  readonly result: Value;
  readonly carry: Value;
}

/** 32 or 64 bits: the count is below the width. */
function shiftPair(b: Build, to: 'left' | 'right', x: Value, filler: Value, count: Value): Shifted {
  const width = x.width;
  const n = atWidth(b, count, width);
  // By (width - count) in two steps, since a shift by the whole width is no shift.
  const rest = b.bin('sub', b.const(width, width - 1), n);
  const one = b.const(width, 1);
  if (to === 'left') {
    const below = b.bin('shr', b.bin('shr', filler, one), rest);
    return {
      result: b.bin('or', b.bin('shl', x, n), below),
      carry: lowBit(b, b.bin('rotl', x, n)),
    };
  }
  const above = b.bin('shl', b.bin('shl', filler, one), rest);
  return {
    result: b.bin('or', b.bin('shr', x, n), above),
    carry: b.sign(b.bin('rotr', x, n)),
  };
}

/** 16 bits: counts of 17 to 31, undefined in the SDM, take the source twice, as AMD's processors do (Intel's: destination again). */
function shiftWords(
  b: Build,
  to: 'left' | 'right',
  x: Value,
  filler: Value,
  count: Value,
): Shifted {
  const n = atWidth(b, count, 64);
  const at = (v: Value, bit: number) => b.bin('shl', b.zext(v, 64), b.const(64, bit));
  const join = (high: Value, low: Value) =>
    b.bin('or', b.bin('or', at(high, 32), at(filler, 16)), b.zext(low, 64));
  const ring = to === 'left' ? join(x, filler) : join(filler, x);
  if (to === 'left') {
    const shifted = b.bin('shl', ring, n);
    return {
      result: b.trunc(b.bin('shr', shifted, b.const(64, 32)), 16),
      carry: b.bit(shifted, 48),
    };
  }
  return {
    result: b.trunc(b.bin('shr', ring, n), 16),
    carry: lowBit(b, b.bin('shr', ring, oneLess(b, count, 64))),
  };
}

/** Rotates carry and operand as one number of width + 1 bits by `count` (below width + 1). */
function rotateThroughCarry(
  b: Build,
  to: 'left' | 'right',
  x: Value,
  carryIn: Value,
  count: Value,
): Shifted {
  const width = x.width;
  if (width === 64) return rotateLongThroughCarry(b, to, x, carryIn, count);
  const n = b.zext(count, 64);
  const carryBit = b.bin('shl', b.zext(carryIn, 64), b.const(64, width));
  const all = b.bin('or', b.zext(x, 64), carryBit);
  const rest = b.bin('sub', b.const(64, width + 1), n);
  const rotated =
    to === 'left'
      ? b.bin('or', b.bin('shl', all, n), b.bin('shr', all, rest))
      : b.bin('or', b.bin('shr', all, n), b.bin('shl', all, rest));
  return { result: b.trunc(rotated, width), carry: b.bit(rotated, width) };
}

function rotateLongThroughCarry(
  b: Build,
  to: 'left' | 'right',
  x: Value,
  carryIn: Value,
  count: Value,
): Shifted {
  const n = b.zext(count, 64);
  const near = to === 'left' ? 'shl' : 'shr';
  const far = to === 'left' ? 'shr' : 'shl';
  const lessOne = oneLess(b, count, 64);
  const rest = b.bin('and', b.bin('sub', b.const(64, 64), n), b.const(64, 63));
  // The bits that come round again stand beyond the carry: moved by 65 - count, in two steps.
  const wrapped = b.bin(far, b.bin(far, x, b.const(64, 1)), rest);
  const entering = b.select(
    carryIn,
    b.bin(near, b.const(64, to === 'left' ? 1 : 1n << 63n), lessOne),
    b.const(64, 0),
  );
  const rotated = b.bin('or', b.bin('or', b.bin(near, x, n), wrapped), entering);
  const leaving = b.bin(near, x, lessOne);
  return {
    result: b.select(b.isZero(count), x, rotated),
    carry: to === 'left' ? b.sign(leaving) : lowBit(b, leaving),
  };
}

/** Nothing is written to the flags when the masked count is 0. */
function shiftFlags(b: Build, by: Operand, count: Value, res: Value, cf: Value, of: Value): void {
  skipIfZero(b, by, count);
  b.mixFlags(res, { cf, of });
}

function rotateFlags(b: Build, by: Operand, count: Value, cf: Value, of: Value): void {
  skipIfZero(b, by, count);
  b.setFlags({ cf, of });
}

function skipIfZero(b: Build, by: Operand, count: Value): void {
  if (by.kind !== 'imm' || by.fixed !== 1) b.skipIf(b.isZero(count));
}

/** The count, 32 bits wide, under the mask of 5 or 6 bits. */
function maskedCount(b: Build, by: Operand, width: Width): Value {
  if (by.kind === 'imm' && by.fixed === 1) return b.const(32, 1);
  const count = b.zext(b.readAs(by, 8), 32);
  return b.bin('and', count, b.const(32, width === 64 ? 63 : 31));
}

function rotateCount(b: Build, count: Value, width: Width): Value {
  const below = width < 32 ? b.bin('and', count, b.const(32, width - 1)) : count;
  return atWidth(b, below, width);
}

/** Rotates through the carry repeat after 9 and 17 steps; wider ones do not reach that. */
function carryRotateCount(b: Build, count: Value, width: Width): Value {
  return width < 32 ? b.bin('remu', count, b.const(32, width + 1)) : count;
}

function atWidth(b: Build, count: Value, width: Width): Value {
  return width < count.width ? b.trunc(count, width) : b.zext(count, width);
}

/** `count` - 1 at `width`, masked: of no meaning, but harmless, for a count of 0. */
function oneLess(b: Build, count: Value, width: Width): Value {
  const less = b.bin('sub', atWidth(b, count, width), b.const(width, 1));
  return b.bin('and', less, b.const(width, width - 1));
}

/** Bytes and words are shifted in 32 bits, so that counts up to 31 need no special case. */
function workWidth(width: Width): Width {
  return width < 32 ? 32 : width;
}

function lowBit(b: Build, v: Value): Value {
  return b.bit(v, 0);
}

function topBitsDiffer(b: Build, v: Value): Value {
  return b.sign(b.bin('xor', v, b.bin('shl', v, b.const(v.width, 1))));
}
