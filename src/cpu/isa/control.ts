// Jumps, calls, returns, loops and software interrupts.
//
// Near branches with 66 in 64-bit code are AMD's: 16-bit operands, RIP truncated (APM 3 CALL (Near), Jcc, JMP (Near), LOOPcc,
// RET (Near): the rel16 and 16-bit forms). Intel's processors ignore the prefix.

import type { Build } from './build.ts';
import type { Insn, Operand } from './define.ts';
import type { Value } from './ir.ts';
import { moveStackPointer, peek, pushValue } from './stack.ts';

const BR = 5;
const UD = 6;

/** Kinds of software interrupt, as the slow path `int` knows them. */
const INT_N = 0;
const INT_3 = 1;
const INT_O = 2;
const INT_ICEBP = 3;

export const jmp: Insn = {
  name: 'jmp',
  ref: 'SDM 2A JMP',
  forms: [
    { op: 'eb', args: 'Jb', size64: 'd64', near: true },
    { op: 'e9', args: 'Jz', size64: 'd64', near: true },
    { op: 'ff /4', args: 'Ev', size64: 'd64', near: true },
  ],
  sem(b, target) {
    if (target.kind === 'imm') {
      b.checkBranch(null);
      return b.branch(null);
    }
    const to = b.zext(b.read(target), 64);
    b.checkTarget(to);
    b.jump(to);
  },
};

export const j: Insn = {
  name: 'j',
  ref: 'SDM 2A Jcc',
  forms: [
    { op: '70+cc', args: 'Jb', size64: 'd64', near: true },
    { op: '0f 80+cc', args: 'Jz', size64: 'd64', near: true },
  ],
  flags: { cf: 'r', pf: 'r', zf: 'r', sf: 'r', of: 'r' },
  sem(b) {
    const taken = b.cond(b.variant.cc);
    b.checkBranch(taken);
    b.branch(taken);
  },
};

export const call: Insn = {
  name: 'call',
  ref: 'SDM 2A CALL',
  forms: [
    { op: 'e8', args: 'Jz', size64: 'd64', near: true },
    { op: 'ff /2', args: 'Ev', size64: 'd64', near: true },
  ],
  sem(b, target) {
    const returnTo = b.trunc(b.next(), b.osize);
    if (target.kind === 'imm') {
      if (b.mode === 64) b.checkTarget(b.bin('add', b.next(), b.readAs(target, 64)));
      else b.checkBranch(null);
      pushValue(b, returnTo);
      return b.branch(null);
    }
    const to = b.zext(b.read(target), 64);
    b.checkTarget(to);
    pushValue(b, returnTo);
    b.jump(to);
  },
};

export const ret: Insn = {
  name: 'ret',
  ref: 'SDM 2B RET',
  forms: [
    { op: 'c3', args: '', size64: 'd64', near: true },
    { op: 'c2', args: 'Iw', size64: 'd64', near: true },
  ],
  sem(b, ...operands) {
    const [release] = operands as [Operand?];
    const to = b.zext(peek(b, 0, b.osize), 64);
    b.checkTarget(to);
    releaseStack(b, b.osize / 8, release);
    b.jump(to);
  },
};

export const jmpf: Insn = {
  name: 'jmpf',
  ref: 'SDM 2A JMP',
  forms: [
    { op: 'ea', args: 'Ap', only: 'no64' },
    { op: 'ff /5', args: 'Mp' },
  ],
  sem: (b, target) => b.callEnd('far_jump', farPointer(b, target)),
};

export const callf: Insn = {
  name: 'callf',
  ref: 'SDM 2A CALL',
  forms: [
    { op: '9a', args: 'Ap', only: 'no64' },
    { op: 'ff /3', args: 'Mp' },
  ],
  sem: (b, target) => b.callEnd('far_call', farPointer(b, target)),
};

export const retf: Insn = {
  name: 'retf',
  ref: 'SDM 2B RET',
  forms: [
    { op: 'cb', args: '' },
    { op: 'ca', args: 'Iw' },
  ],
  sem(b, ...operands) {
    const [release] = operands as [Operand?];
    b.callEnd('far_return', [release ? b.zext(b.readAs(release, 16), 32) : b.const(32, 0)]);
  },
};

export const iret: Insn = {
  name: 'iret',
  ref: 'SDM 2A IRET/IRETD/IRETQ',
  forms: [{ op: 'cf', args: '', name: 'iret/iretd/iretq' }],
  flags: { cf: 'w', pf: 'w', af: 'w', zf: 'w', sf: 'w', of: 'w', df: 'w', if: 'w' },
  sem: (b) => b.callEnd('iret'),
};

/** jcxz, jecxz or jrcxz by address size. */
export const jcxz: Insn = {
  name: 'jcxz',
  ref: 'SDM 2A Jcc',
  forms: [{ op: 'e3', args: 'Jb', size64: 'd64', near: true, name: 'jcxz/jecxz/jrcxz' }],
  sem(b) {
    const taken = b.isZero(b.reg('rcx', b.asize));
    b.checkBranch(taken);
    b.branch(taken);
  },
};

export const loop: Insn = {
  name: 'loop',
  ref: 'SDM 2A LOOP/LOOPcc',
  forms: [{ op: 'e2', args: 'Jb', size64: 'd64', near: true }],
  sem: (b) => countDown(b, (more) => more),
};

export const loope: Insn = {
  name: 'loope',
  ref: 'SDM 2A LOOP/LOOPcc',
  forms: [{ op: 'e1', args: 'Jb', size64: 'd64', near: true }],
  flags: { zf: 'r' },
  sem: (b) => countDown(b, (more) => b.and1(more, b.flag('zf'))),
};

export const loopne: Insn = {
  name: 'loopne',
  ref: 'SDM 2A LOOP/LOOPcc',
  forms: [{ op: 'e0', args: 'Jb', size64: 'd64', near: true }],
  flags: { zf: 'r' },
  sem: (b) => countDown(b, (more) => b.and1(more, b.not1(b.flag('zf')))),
};

export const int: Insn = {
  name: 'int',
  ref: 'SDM 2A INT n/INTO/INT3/INT1',
  forms: [{ op: 'cd', args: 'Ib' }],
  sem: (b, vector) => interrupt(b, b.zext(b.readAs(vector, 8), 32), INT_N),
};

export const int3: Insn = {
  name: 'int3',
  ref: 'SDM 2A INT n/INTO/INT3/INT1',
  forms: [{ op: 'cc', args: '' }],
  sem: (b) => interrupt(b, b.const(32, 3), INT_3),
};

export const int1: Insn = {
  name: 'int1',
  ref: 'SDM 2A INT n/INTO/INT3/INT1; APM 2 15.9 icebp',
  forms: [{ op: 'f1', args: '' }],
  sem: (b) => interrupt(b, b.const(32, 1), INT_ICEBP),
};

export const into: Insn = {
  name: 'into',
  ref: 'SDM 2A INT n/INTO/INT3/INT1',
  forms: [{ op: 'ce', args: '', only: 'no64' }],
  flags: { of: 'r' },
  sem(b) {
    b.skipIf(b.not1(b.flag('of')));
    interrupt(b, b.const(32, 4), INT_O);
  },
};

export const bound: Insn = {
  name: 'bound',
  ref: 'SDM 2A BOUND',
  forms: [{ op: '62 /r', args: 'Gv,Ma', only: 'no64' }],
  sem(b, index) {
    const value = b.read(index);
    const lower = b.load('operand', b.address(), b.osize);
    const upper = b.load('operand', above(b, b.osize / 8), b.osize);
    b.faultIf(b.or1(b.cmp('lts', value, lower), b.cmp('lts', upper, value)), BR, null);
  },
};

/** ud0 and ud1 have a ModRM byte, which is decoded and not used. */
export const ud0: Insn = {
  name: 'ud0',
  ref: 'SDM 2B UD',
  forms: [{ op: '0f ff /r', args: 'Gd,Ed' }],
  sem: (b) => b.fault(UD, null),
};

export const ud1: Insn = {
  name: 'ud1',
  ref: 'SDM 2B UD',
  forms: [{ op: '0f b9 /r', args: 'Gd,Ed' }],
  sem: (b) => b.fault(UD, null),
};

export const ud2: Insn = {
  name: 'ud2',
  ref: 'SDM 2B UD',
  forms: [{ op: '0f 0b', args: '' }],
  sem: (b) => b.fault(UD, null),
};

function releaseStack(b: Build, bytes: number, more: Operand | undefined): void {
  if (!more) {
    moveStackPointer(b, bytes);
    return;
  }
  const width = b.stackWidth;
  const extra = b.cast(width === 16 ? 'trunc' : 'zext', b.readAs(more, 16), width);
  const popped = b.bin('add', b.reg('rsp', width), b.const(width, bytes));
  b.setReg('rsp', b.bin('add', popped, extra));
}

/** Selector (32 bits, upper half 0) and offset (64 bits) of a far pointer in the code or in memory. */
function farPointer(b: Build, target: Operand): Value[] {
  if (target.kind === 'imm') {
    return [b.zext(b.imm(1, 16), 32), b.zext(b.imm(0, b.osize), 64)];
  }
  const offset = b.load('operand', b.address(), b.osize);
  const selector = b.load('operand', above(b, b.osize / 8), 16);
  return [b.zext(selector, 32), b.zext(offset, 64)];
}

/** The memory operand's address plus `bytes`, wrapped at the address size. */
function above(b: Build, bytes: number): Value {
  const sum = b.bin('add', b.address(), b.const(64, bytes));
  return b.zext(b.trunc(sum, b.asize), 64);
}

/** rCX - 1 by address size; branches as `taken` makes of the fact that it is not 0. */
function countDown(b: Build, taken: (more: Value) => Value): void {
  const count = b.bin('sub', b.reg('rcx', b.asize), b.const(b.asize, 1));
  const when = taken(b.not1(b.isZero(count)));
  b.checkBranch(when);
  b.setReg('rcx', count);
  b.branch(when);
}

function interrupt(b: Build, vector: Value, kind: number): void {
  b.callEnd('int', [vector, b.const(32, kind)]);
}
