// Integer addition, subtraction and comparison, with their read-modify-write relatives xadd and cmpxchg.

import type { Build } from './build.ts';
import type { Flags, Insn, Operand } from './define.ts';
import { aluForms, unaryForms } from './forms.ts';
import type { StatusFlag, Value, Width } from './ir.ts';

const ALL: Flags = { cf: 'w', pf: 'w', af: 'w', zf: 'w', sf: 'w', of: 'w' };
const ALL_WITH_CARRY: Flags = { ...ALL, cf: 'rw' };
const ALL_BUT_CARRY: Flags = { pf: 'w', af: 'w', zf: 'w', sf: 'w', of: 'w' };

export const add: Insn = {
  name: 'add',
  ref: 'SDM 2A ADD',
  forms: aluForms(0x00, true),
  flags: ALL,
  sem(b, dst, src) {
    const x = b.read(dst);
    const sum = b.bin('add', x, b.readAs(src, x.width));
    b.write(dst, sum);
    b.addFlags(sum, x);
  },
};

export const adc: Insn = {
  name: 'adc',
  ref: 'SDM 2A ADC',
  forms: aluForms(0x10, true),
  flags: ALL_WITH_CARRY,
  sem(b, dst, src) {
    const carry = b.flag('cf');
    const x = b.read(dst);
    const sum = b.bin('add', b.bin('add', x, b.readAs(src, x.width)), b.zext(carry, x.width));
    b.write(dst, sum);
    b.adcFlags(sum, x, carry);
  },
};

export const sub: Insn = {
  name: 'sub',
  ref: 'SDM 2B SUB',
  forms: aluForms(0x28, true),
  flags: ALL,
  sem(b, dst, src) {
    const x = b.read(dst);
    const difference = b.bin('sub', x, b.readAs(src, x.width));
    b.write(dst, difference);
    b.subFlags(difference, x);
  },
};

export const sbb: Insn = {
  name: 'sbb',
  ref: 'SDM 2B SBB',
  forms: aluForms(0x18, true),
  flags: ALL_WITH_CARRY,
  sem(b, dst, src) {
    const borrow = b.flag('cf');
    const x = b.read(dst);
    const less = b.bin('sub', x, b.readAs(src, x.width));
    const difference = b.bin('sub', less, b.zext(borrow, x.width));
    b.write(dst, difference);
    b.sbbFlags(difference, x, borrow);
  },
};

export const cmp: Insn = {
  name: 'cmp',
  ref: 'SDM 2A CMP',
  forms: aluForms(0x38, false),
  flags: ALL,
  sem(b, dst, src) {
    const x = b.read(dst);
    b.subFlags(b.bin('sub', x, b.readAs(src, x.width)), x);
  },
};

export const inc: Insn = {
  name: 'inc',
  ref: 'SDM 2A INC',
  forms: [...unaryForms(0xfe, 0, true), { op: '40+r', args: 'Zv', only: 'no64' }],
  flags: ALL_BUT_CARRY,
  sem(b, dst) {
    const x = b.read(dst);
    const sum = b.bin('add', x, b.const(x.width, 1));
    const of = b.cmp('eq', sum, b.const(x.width, signBit(x.width)));
    const af = b.isZero(b.bin('and', sum, b.const(x.width, 0xf)));
    const cf = b.flag('cf');
    b.write(dst, sum);
    b.mixFlags(sum, { cf, of, af });
  },
};

export const dec: Insn = {
  name: 'dec',
  ref: 'SDM 2A DEC',
  forms: [...unaryForms(0xfe, 1, true), { op: '48+r', args: 'Zv', only: 'no64' }],
  flags: ALL_BUT_CARRY,
  sem(b, dst) {
    const x = b.read(dst);
    const difference = b.bin('sub', x, b.const(x.width, 1));
    const of = b.cmp('eq', x, b.const(x.width, signBit(x.width)));
    const af = b.isZero(b.bin('and', x, b.const(x.width, 0xf)));
    const cf = b.flag('cf');
    b.write(dst, difference);
    b.mixFlags(difference, { cf, of, af });
  },
};

export const neg: Insn = {
  name: 'neg',
  ref: 'SDM 2B NEG',
  forms: unaryForms(0xf6, 3, true),
  flags: ALL,
  sem(b, dst) {
    const y = b.read(dst);
    const zero = b.const(y.width, 0);
    const difference = b.bin('sub', zero, y);
    b.write(dst, difference);
    b.subFlags(difference, zero);
  },
};

export const xadd: Insn = {
  name: 'xadd',
  ref: 'SDM 2C XADD',
  forms: [
    { op: '0f c0 /r', args: 'Eb,Gb', lock: true },
    { op: '0f c1 /r', args: 'Ev,Gv', lock: true },
  ],
  flags: ALL,
  sem(b, dst, src) {
    const x = b.read(dst);
    const sum = b.bin('add', x, b.read(src));
    // Of two equal registers the sum must stay: it is written last. A store comes before any register.
    if (dst.kind === 'mem') b.write(dst, sum);
    b.write(src, x);
    if (dst.kind === 'reg') b.write(dst, sum);
    b.addFlags(sum, x);
  },
};

export const cmpxchg: Insn = {
  name: 'cmpxchg',
  ref: 'SDM 2A CMPXCHG',
  forms: [
    { op: '0f b0 /r', args: 'Eb,Gb', lock: true },
    { op: '0f b1 /r', args: 'Ev,Gv', lock: true },
  ],
  flags: ALL,
  sem(b, dst, src) {
    const x = b.read(dst);
    const accumulator = b.reg('rax', x.width);
    const y = b.read(src);
    const equal = b.cmp('eq', accumulator, x);
    if (dst.kind === 'reg' && dst.size === 32) {
      // Unequal: a register is not touched at all, not even its upper half.
      const whole: Operand = { ...dst, size: 64 };
      b.write(whole, b.select(equal, b.zext(y, 64), b.read(whole)));
    } else {
      b.write(dst, b.select(equal, y, x)); // The bus sees a write in either case.
    }
    b.subFlags(b.bin('sub', accumulator, x), accumulator);
    b.skipIf(equal); // Equal: the upper half of RAX stays as it is.
    b.setReg('rax', x);
  },
};

export const cmpxchg8b: Insn = {
  name: 'cmpxchg8b',
  ref: 'SDM 2A CMPXCHG8B',
  forms: [{ op: 'W0 0f c7 /1', args: 'Mq', lock: true, needs: 'cx8' }],
  flags: { zf: 'w' },
  sem(b, dst) {
    const x = b.read(dst);
    const equal = b.cmp('eq', x, pair(b, b.reg('rdx', 32), b.reg('rax', 32)));
    b.write(dst, b.select(equal, pair(b, b.reg('rcx', 32), b.reg('rbx', 32)), x));
    b.setFlags({ zf: equal });
    b.skipIf(equal);
    b.setReg('rax', b.trunc(x, 32));
    b.setReg('rdx', b.trunc(b.bin('shr', x, b.const(64, 32)), 32));
  },
};

export const cmpxchg16b: Insn = {
  name: 'cmpxchg16b',
  ref: 'SDM 2A CMPXCHG16B',
  forms: [{ op: 'W1 0f c7 /1', args: 'Mdq', lock: true, only: '64', needs: 'cx16' }],
  flags: { zf: 'w' },
  sem(b) {
    const linear = b.linear('operand', b.address(), 16, true);
    const misaligned = b.bin('and', linear, b.const(64, 15));
    b.faultIf(b.cmp('ne', misaligned, b.const(64, 0)), 13, 0);
    const upperAt = b.bin('add', b.address(), b.const(64, 8));
    const lower = b.loadForStore('operand', b.address(), 64);
    const upper = b.loadForStore('operand', upperAt, 64);
    const equal = b.and1(
      b.cmp('eq', lower, b.reg('rax', 64)),
      b.cmp('eq', upper, b.reg('rdx', 64)),
    );
    const newLower = b.select(equal, b.reg('rbx', 64), lower);
    const newUpper = b.select(equal, b.reg('rcx', 64), upper);
    b.storeBack(lower, newLower);
    b.storeBack(upper, newUpper);
    b.setFlags({ zf: equal });
    b.skipIf(equal);
    b.setReg('rax', lower);
    b.setReg('rdx', upper);
  },
};

export const adcx: Insn = {
  name: 'adcx',
  ref: 'SDM 2A ADCX',
  forms: [{ op: '66 0f 38 f6 /r', args: 'Gy,Ey', needs: 'adx' }],
  flags: { cf: 'rw' },
  sem: (b, dst, src) => addThrough(b, 'cf', dst, src),
};

export const adox: Insn = {
  name: 'adox',
  ref: 'SDM 2A ADOX',
  forms: [{ op: 'F3 0f 38 f6 /r', args: 'Gy,Ey', needs: 'adx' }],
  flags: { of: 'rw' },
  sem: (b, dst, src) => addThrough(b, 'of', dst, src),
};

/** Adds with the carry in one flag, and touches no other. */
function addThrough(b: Build, flag: StatusFlag, dst: Operand, src: Operand): void {
  const carry = b.flag(flag);
  const x = b.read(dst);
  const sum = b.bin('add', x, b.read(src));
  const total = b.bin('add', sum, b.zext(carry, x.width));
  const out = b.or1(b.cmp('ltu', sum, x), b.cmp('ltu', total, sum));
  b.write(dst, total);
  b.setFlags({ [flag]: out });
}

function pair(b: Build, high: Value, low: Value): Value {
  return b.bin('or', b.bin('shl', b.zext(high, 64), b.const(64, 32)), b.zext(low, 64));
}

function signBit(width: Width): bigint {
  return 1n << BigInt(width - 1);
}
