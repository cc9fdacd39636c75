// String instructions: one iteration counts as one instruction, whatever the repeat prefix.

import type { Build } from './build.ts';
import { SEG_ES } from './build.ts';
import type { Flags, Form, Insn } from './define.ts';
import type { Value, Width } from './ir.ts';

const DF = 10;
const COMPARE_FLAGS: Flags = { cf: 'w', pf: 'w', af: 'w', zf: 'w', sf: 'w', of: 'w', df: 'r' };

export const movs: Insn = {
  name: 'movs',
  ref: 'SDM 2B MOVS',
  forms: stringForms('movs', 0xa4, ['Yb,Xb', 'Yv,Xv'], 'rep'),
  flags: { df: 'r' },
  sem(b, dst) {
    const width = dst.size as Width;
    const count = beginIteration(b, 'movs', width);
    const value = loadSource(b, width);
    b.store(SEG_ES, pointer(b, 'rdi'), value);
    advance(b, ['rsi', 'rdi'], width);
    endIteration(b, count, null);
  },
};

export const stos: Insn = {
  name: 'stos',
  ref: 'SDM 2B STOS',
  forms: stringForms('stos', 0xaa, ['Yb,AL', 'Yv,eAX'], 'rep'),
  flags: { df: 'r' },
  sem(b, dst, src) {
    const width = dst.size as Width;
    const count = beginIteration(b, 'stos', width);
    b.store(SEG_ES, pointer(b, 'rdi'), b.read(src));
    advance(b, ['rdi'], width);
    endIteration(b, count, null);
  },
};

export const lods: Insn = {
  name: 'lods',
  ref: 'SDM 2A LODS',
  forms: stringForms('lods', 0xac, ['AL,Xb', 'eAX,Xv'], 'rep'),
  flags: { df: 'r' },
  sem(b, dst) {
    const width = dst.size as Width;
    const count = beginIteration(b, 'lods', width);
    const value = loadSource(b, width);
    advance(b, ['rsi'], width);
    b.write(dst, value);
    endIteration(b, count, null);
  },
};

export const scas: Insn = {
  name: 'scas',
  ref: 'SDM 2B SCAS',
  forms: stringForms('scas', 0xae, ['AL,Yb', 'eAX,Yv'], 'repcc'),
  flags: COMPARE_FLAGS,
  sem(b, accumulator) {
    const width = accumulator.size as Width;
    const count = beginIteration(b, 'scas', width);
    const x = b.read(accumulator);
    const y = b.load(SEG_ES, pointer(b, 'rdi'), width);
    compareAndEnd(b, count, x, y, ['rdi']);
  },
};

export const cmps: Insn = {
  name: 'cmps',
  ref: 'SDM 2A CMPS',
  forms: stringForms('cmps', 0xa6, ['Xb,Yb', 'Xv,Yv'], 'repcc'),
  flags: COMPARE_FLAGS,
  sem(b, first) {
    const width = first.size as Width;
    const count = beginIteration(b, 'cmps', width);
    const x = loadSource(b, width);
    const y = b.load(SEG_ES, pointer(b, 'rdi'), width);
    compareAndEnd(b, count, x, y, ['rsi', 'rdi']);
  },
};

type Bulk = 'movs' | 'stos' | 'lods' | 'scas' | 'cmps';
type Pointer = 'rsi' | 'rdi';

function stringForms(
  name: string,
  opcode: number,
  [bytes, words]: readonly [string, string],
  rep: 'rep' | 'repcc',
): Form[] {
  return [
    { op: opcode.toString(16), args: bytes, rep, name: `${name}b` },
    { op: (opcode + 1).toString(16), args: words, rep, name: `${name}w/${name}d/${name}q` },
  ];
}

/** The hint comes first: an engine that takes it finishes as many iterations as it may, then looks at rCX again. */
function beginIteration(b: Build, fn: Bulk, width: Width): Value | null {
  if (b.variant.rep === 'none') return null;
  b.bulk(fn, width / 8);
  const count = b.reg('rcx', b.asize);
  b.skipIf(b.isZero(count));
  return count;
}

/** `more`: what else a repetition depends on. */
function endIteration(b: Build, count: Value | null, more: Value | null): void {
  if (!count) return;
  const rest = b.bin('sub', count, b.const(b.asize, 1));
  b.setReg('rcx', rest);
  const left = b.not1(b.isZero(rest));
  b.againIf(more ? b.and1(left, more) : left);
}

function compareAndEnd(
  b: Build,
  count: Value | null,
  x: Value,
  y: Value,
  pointers: readonly Pointer[],
): void {
  const difference = b.bin('sub', x, y);
  advance(b, pointers, x.width);
  b.subFlags(difference, x);
  const equal = b.isZero(difference);
  endIteration(b, count, b.variant.rep === 'repne' ? b.not1(equal) : equal);
}

function loadSource(b: Build, width: Width): Value {
  return b.load('operand', pointer(b, 'rsi'), width); // DS, or the segment of a prefix.
}

function pointer(b: Build, name: Pointer): Value {
  return b.zext(b.reg(name, b.asize), 64);
}

/** Moves the pointers by one element, up or, with DF, down. */
function advance(b: Build, pointers: readonly Pointer[], width: Width): void {
  const down = b.bit(b.state('eflags', 32), DF);
  const bytes = width / 8;
  const step = b.select(down, b.const(b.asize, -bytes), b.const(b.asize, bytes));
  const moved = pointers.map((name) => b.bin('add', b.reg(name, b.asize), step));
  pointers.forEach((name, n) => {
    b.setReg(name, moved[n] as Value);
  });
}
