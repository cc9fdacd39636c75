// Integer multiplication and division.

import type { Build } from './build.ts';
import type { Flags, Insn, Operand } from './define.ts';
import { unaryForms } from './forms.ts';
import type { Value, Width } from './ir.ts';

const DE = 0;
const MUL_FLAGS: Flags = { cf: 'w', of: 'w', sf: 'u', zf: 'u', af: 'u', pf: 'u' };
const DIV_FLAGS: Flags = { cf: 'u', of: 'u', sf: 'u', zf: 'u', af: 'u', pf: 'u' };

export const mul: Insn = {
  name: 'mul',
  ref: 'SDM 2B MUL',
  forms: unaryForms(0xf6, 4, false),
  flags: MUL_FLAGS,
  sem(b, src) {
    const x = b.reg('rax', widthOf(src));
    const { low, high } = product(b, 'zext', x, b.read(src));
    const carry = b.cmp('ne', high, b.const(high.width, 0));
    setProduct(b, low, high);
    productFlags(b, carry);
  },
};

export const imul: Insn = {
  name: 'imul',
  ref: 'SDM 2A IMUL',
  forms: [
    ...unaryForms(0xf6, 5, false),
    { op: '0f af /r', args: 'Gv,Ev' },
    { op: '69 /r', args: 'Gv,Ev,Iz' },
    { op: '6b /r', args: 'Gv,Ev,Ib' },
  ],
  flags: MUL_FLAGS,
  sem(b, ...operands) {
    const [dst, src = dst, factor] = operands as [Operand, Operand?, Operand?];
    const width = widthOf(dst);
    const oneOperand = operands.length === 1;
    const y = b.read(src);
    const x = factor ? b.readAs(factor, width) : oneOperand ? b.reg('rax', width) : b.read(dst);
    const { low, high } = product(b, 'sext', x, y);
    const signs = b.bin('sar', low, b.const(width, width - 1));
    const carry = b.cmp('ne', high, signs);
    if (oneOperand) setProduct(b, low, high);
    else b.write(dst, low);
    productFlags(b, carry);
  },
};

export const div: Insn = {
  name: 'div',
  ref: 'SDM 2A DIV',
  forms: unaryForms(0xf6, 6, false),
  flags: DIV_FLAGS,
  sem(b, src) {
    const divisor = b.read(src);
    const width = divisor.width;
    const high = width === 8 ? b.ah() : b.reg('rdx', width);
    const low = b.reg('rax', width);
    if (width === 64) return divideBySlowPath(b, 'div64', high, low, divisor);
    b.faultIf(b.cmp('leu', divisor, high), DE, null); // Zero, or a quotient that does not fit.
    const wide = width === 32 ? 64 : 32;
    const x = join(b, b.zext(high, wide), b.zext(low, wide), width);
    const y = b.zext(divisor, wide);
    setQuotient(b, b.bin('divu', x, y), b.bin('remu', x, y), width);
  },
};

export const idiv: Insn = {
  name: 'idiv',
  ref: 'SDM 2A IDIV',
  forms: unaryForms(0xf6, 7, false),
  flags: DIV_FLAGS,
  sem(b, src) {
    const divisor = b.read(src);
    const width = divisor.width;
    const high = width === 8 ? b.ah() : b.reg('rdx', width);
    const low = b.reg('rax', width);
    if (width === 64) return divideBySlowPath(b, 'idiv64', high, low, divisor);
    const wide = 64;
    const x = join(b, b.sext(high, wide), b.zext(low, wide), width);
    const y = b.sext(divisor, wide);
    // The one quotient of 64 bits that does not exist is excluded first, then those that do not fit.
    const least = b.cmp('eq', x, b.const(wide, 1n << 63n));
    const minusOne = b.cmp('eq', y, b.const(wide, -1n));
    b.faultIf(b.or1(b.isZero(y), b.and1(least, minusOne)), DE, null);
    const quotient = b.bin('divs', x, y);
    const fits = b.cmp('eq', quotient, b.sext(b.trunc(quotient, width), wide));
    b.faultIf(b.not1(fits), DE, null);
    setQuotient(b, quotient, b.bin('rems', x, y), width);
  },
};

function product(
  b: Build,
  extend: 'zext' | 'sext',
  x: Value,
  y: Value,
): { low: Value; high: Value } {
  const width = x.width;
  if (width === 64) {
    return {
      low: b.bin('mul', x, y),
      high: b.bin(extend === 'zext' ? 'mulhu' : 'mulhs', x, y),
    };
  }
  const wide = width === 32 ? 64 : 32;
  const all = b.bin('mul', b.cast(extend, x, wide), b.cast(extend, y, wide));
  return {
    low: b.trunc(all, width),
    high: b.trunc(b.bin('shr', all, b.const(wide, width)), width),
  };
}

function setProduct(b: Build, low: Value, high: Value): void {
  if (low.width === 8) {
    b.setReg('rax', join(b, b.zext(high, 16), b.zext(low, 16), 8));
    return;
  }
  b.setReg('rax', low);
  b.setReg('rdx', high);
}

/** SF, ZF, AF and PF are undefined in the SDM; AMD's processors leave them alone. */
function productFlags(b: Build, carry: Value): void {
  b.setFlags({ cf: carry, of: carry });
}

function divideBySlowPath(b: Build, name: string, high: Value, low: Value, divisor: Value): void {
  const [quotient, remainder] = b.call(name, [high, low, divisor], [64, 64]) as [Value, Value];
  b.setReg('rax', quotient);
  b.setReg('rdx', remainder);
}

function setQuotient(b: Build, quotient: Value, remainder: Value, width: Width): void {
  if (width === 8) {
    const low = b.zext(b.trunc(quotient, 8), 16);
    b.setReg('rax', join(b, b.zext(b.trunc(remainder, 8), 16), low, 8));
    return;
  }
  b.setReg('rax', b.trunc(quotient, width));
  b.setReg('rdx', b.trunc(remainder, width));
}

/** `high` above `low`, which has `bits` bits; both are already as wide as the result. */
function join(b: Build, high: Value, low: Value, bits: number): Value {
  return b.bin('or', b.bin('shl', high, b.const(high.width, bits)), low);
}

function widthOf(o: Operand): Width {
  return o.size as Width;
}
