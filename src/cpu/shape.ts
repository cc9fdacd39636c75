// What a form becomes with its prefixes: the shared variant, operands and key, made once for each combination that is met.

import { type Arg, bitsOf, type CompiledForm } from './isa/compile.ts';
import type { Operand } from './isa/define.ts';
import type { Variant } from './isa/ir.ts';
import { forms } from './table.ts';

/** Where a register number comes from, and what becomes of it. */
export interface Slot {
  readonly from: 'reg' | 'rm' | 'opcode';
  /** `byte`: without REX, 4..7 are AH CH DH BH. `low`: only three bits count. */
  readonly numbering: 'whole' | 'byte' | 'low' | 'seg' | 'segTarget' | 'cr' | 'dr';
}

export interface Shape {
  readonly variant: Variant;
  readonly operands: readonly Operand[];
  readonly key: string;
  readonly slots: readonly Slot[];
  /** Bytes of immediates 0 and 1 in the code; of an absolute address (moffs). */
  readonly imm0: number;
  readonly imm1: number;
  readonly moffs: number;
}

const shapes = new Map<number, Map<number, Shape>>();
/** What each form was last met with: most code repeats it. */
const lastIndex: number[] = forms.map(() => -1);
const lastShape: (Shape | null)[] = forms.map(() => null);

const REPS = ['none', 'rep', 'repne'] as const;

/** The shape of a form with these sizes and prefixes. `rep` indexes none, rep, repne; `cc` -1: no condition; `otherStack`: SS.B is not CS.D; `limited`: CS ends below 4 GiB. */
export function shapeOf(
  f: CompiledForm,
  osize: 16 | 32 | 64,
  asize: 16 | 32 | 64,
  mode: 16 | 32 | 64,
  rep: number,
  lock: boolean,
  cc: number,
  isMem: boolean,
  spBase: boolean,
  otherStack: boolean,
  limited: boolean,
): Shape {
  const bits = (isMem ? 1 : 0) | (lock ? 2 : 0) | (spBase ? 4 : 0) | (rep << 3) | ((cc + 1) << 5);
  const index =
    bits |
    ((osize >> 5) << 10) |
    ((asize >> 5) << 12) |
    ((mode >> 5) << 14) |
    (otherStack ? 1 << 16 : 0) |
    (limited ? 1 << 17 : 0);
  if (lastIndex[f.id] === index) return lastShape[f.id] as Shape;
  let known = shapes.get(f.id);
  if (!known) {
    known = new Map();
    shapes.set(f.id, known);
  }
  let shape = known.get(index);
  if (!shape) {
    const base: Variant = { osize, asize, mode, rep: REPS[rep] ?? 'none', lock, cc };
    const stack: Pick<Variant, 'stack'> = otherStack ? { stack: mode === 32 ? 16 : 32 } : {};
    const more = { ...(f.form.asksSpBase ? { spBase } : {}), ...(limited ? { limited } : {}) };
    shape = makeShape(f, { ...base, ...stack, ...more }, isMem);
    known.set(index, shape);
  }
  lastIndex[f.id] = index;
  lastShape[f.id] = shape;
  return shape;
}

function makeShape(f: CompiledForm, variant: Variant, isMem: boolean): Shape {
  const operands: Operand[] = [];
  const slots: Slot[] = [];
  const imms = [0, 0];
  let moffs = 0;
  f.args.forEach((a, position) => {
    const slot = slotOf(a, position, isMem, variant);
    operands.push(operandOf(a, slots.length, isMem, variant));
    if (slot) slots.push(slot);
    if (a.from === 'imm') imms[a.n] = codedBytes(a.coded, variant.osize);
    if (a.from === 'moffs') moffs = variant.asize / 8;
  });
  const v = variant;
  const key = `${f.id}:${v.osize}:${v.asize}:${v.mode}:${v.rep}:${v.lock ? 'l' : '-'}:${v.cc}:${isMem ? 'm' : 'r'}${v.spBase ? 's' : ''}${v.stack ?? ''}${v.limited ? 'L' : ''}`;
  return { variant, operands, key, slots, imm0: imms[0] ?? 0, imm1: imms[1] ?? 0, moffs };
}

/** Where the registers of a form come from, by slot. */
export function slotsOf(f: CompiledForm, variant: Variant, isMem: boolean): readonly Slot[] {
  return f.args
    .map((a, position) => slotOf(a, position, isMem, variant))
    .filter((slot) => slot !== null);
}

export function codedBytes(coded: (Arg & { from: 'imm' })['coded'], osize: number): number {
  switch (coded) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'z':
      return osize === 16 ? 2 : 4;
    case 'v':
      return osize / 8;
  }
}

function operandOf(a: Arg, slot: number, isMem: boolean, v: Variant): Operand {
  switch (a.from) {
    case 'rm':
      if (isMem) return { kind: 'mem', size: bitsOf(a.memSize, v.osize, v.mode) };
      return { kind: 'reg', file: a.file, size: bitsOf(a.regSize, v.osize, v.mode), slot };
    case 'reg':
    case 'opcode':
    case 'sti':
      return { kind: 'reg', file: a.file, size: bitsOf(a.regSize, v.osize, v.mode), slot };
    case 'fixed':
      return {
        kind: 'reg',
        file: a.file,
        size: bitsOf(a.regSize, v.osize, v.mode),
        slot: -1,
        fixed: a.n,
      };
    case 'imm':
      return { kind: 'imm', size: bitsOf(a.size, v.osize, v.mode), n: a.n };
    case 'one':
      return { kind: 'imm', size: 8, n: 0, fixed: 1 };
    case 'moffs':
    case 'string':
      return { kind: 'mem', size: bitsOf(a.memSize, v.osize, v.mode) };
  }
}

function slotOf(a: Arg, position: number, isMem: boolean, v: Variant): Slot | null {
  if (a.from === 'rm')
    return isMem ? null : { from: 'rm', numbering: numbering(a.file, a.regSize, position, v) };
  if (a.from === 'sti') return { from: 'rm', numbering: 'low' };
  if (a.from !== 'reg' && a.from !== 'opcode') return null;
  return { from: a.from, numbering: numbering(a.file, a.regSize, position, v) };
}

function numbering(file: string, size: string, position: number, v: Variant): Slot['numbering'] {
  if (file === 'gpr') return bitsOf(size, v.osize, v.mode) === 8 ? 'byte' : 'whole';
  if (file === 'mm' || file === 'st') return 'low';
  if (file === 'seg') return position === 0 ? 'segTarget' : 'seg';
  return file === 'cr' || file === 'dr' ? file : 'whole';
}
