// SSE arithmetic on single and double precision, scalar and packed: SSE, SSE2, SSE3, and SSE4.1's dot products and rounding.

import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { sseCheck } from './fpu-check.ts';
import type { FloatFn, FloatShape, Value } from './ir.ts';
import { readVec, shuffle } from './vector.ts';

const ref = (name: string): string => `SDM 2B ${name.toUpperCase()}`;

interface Kind {
  readonly suffix: 'ps' | 'pd' | 'ss' | 'sd';
  readonly prefix: string;
  readonly shape: FloatShape;
  readonly needs: string;
  readonly args: string;
}

const KINDS: readonly Kind[] = [
  { suffix: 'ps', prefix: 'NP', shape: 'f32x4', needs: 'sse', args: 'Vps,Wps' },
  { suffix: 'pd', prefix: '66', shape: 'f64x2', needs: 'sse2', args: 'Vpd,Wpd' },
  { suffix: 'ss', prefix: 'F3', shape: 'f32', needs: 'sse', args: 'Vss,Wss' },
  { suffix: 'sd', prefix: 'F2', shape: 'f64', needs: 'sse2', args: 'Vsd,Wsd' },
];

/** An operation in its four shapes. Scalar ones keep the rest of the destination. */
function arithmetic(fn: FloatFn, opcode: string): Insn[] {
  return KINDS.map((k) => ({
    name: `${fn}${k.suffix}`,
    ref: ref(`${fn}${k.suffix}`),
    forms: [{ op: `${k.prefix} 0f ${opcode} /r`, args: k.args, needs: k.needs }],
    sem(b: Build, dst: Operand, src: Operand) {
      sseCheck(b);
      const y = readVec128(b, src);
      const x = fn === 'sqrt' ? y : b.read(dst);
      b.write(dst, b.float(fn, k.shape, x, y));
    },
  }));
}

/** Whole vectors must be aligned in memory, scalars need not be. */
function readVec128(b: Build, o: Operand): Value {
  return o.kind !== 'imm' && o.size === 128 ? b.readAligned(o) : b.read(o);
}

/** haddps and its like: neighbours combined, the destination's, then the source's. */
function horizontal(name: string, op: string, fn: 'add' | 'sub', shape: 'f32x4' | 'f64x2'): Insn {
  const size = shape === 'f32x4' ? 4 : 8;
  const even = size === 4 ? [0, 2, 4, 6] : [0, 2];
  return {
    name,
    ref: ref(name),
    forms: [{ op, args: 'Vx,Wx', needs: 'sse3' }],
    sem(b, dst, src) {
      sseCheck(b);
      const y = readVec(b, src);
      const x = b.read(dst);
      const odd = even.map((n) => n + 1);
      const left = shuffle(b, size, x, y, even);
      b.write(dst, b.float(fn, shape, left, shuffle(b, size, x, y, odd)));
    },
  };
}

/** Calls a slow path over whole vectors. */
function packed(
  name: string,
  form: Form,
  args: (b: Build, imm: Value | null) => readonly Value[],
  path: string,
): Insn {
  return {
    name,
    ref: ref(name),
    forms: [form],
    sem(b, dst, src, by) {
      sseCheck(b);
      const y = readVec(b, src);
      const imm = by ? b.zext(b.read(by), 32) : null;
      const [v] = b.call(path, [b.read(dst), y, ...args(b, imm)], [128]);
      if (v) b.write(dst, v);
    },
  };
}

function addSub(name: string, op: string, lanes: number): Insn {
  const form: Form = { op, args: 'Vx,Wx', needs: 'sse3' };
  return packed(name, form, (b) => [b.const(32, lanes)], 'float-addsub');
}

function dotProduct(name: string, opcode: string, lanes: number): Insn {
  const form: Form = { op: `66 0f 3a ${opcode} /r`, args: 'Vx,Wx,Ib', needs: 'sse4_1' };
  return packed(name, form, (b, imm) => [imm ?? b.const(32, 0), b.const(32, lanes)], 'float-dot');
}

/** rcp and rsqrt, packed and scalar. */
function approximation(name: string, opcode: string, root: boolean): Insn[] {
  return KINDS.filter((k) => k.shape.startsWith('f32')).map((k) => ({
    name: `${name}${k.suffix}`,
    ref: ref(`${name}${k.suffix}`),
    forms: [{ op: `${k.prefix} 0f ${opcode} /r`, args: k.args, needs: 'sse' }],
    sem(b: Build, dst: Operand, src: Operand) {
      sseCheck(b);
      const v = readVec128(b, src);
      const lanes = v.width === 128 ? 4 : 1;
      const args = [v, b.const(32, root ? 1 : 0), b.const(32, lanes)];
      const [result] = b.call('float-approximate', args, [v.width]);
      if (result) b.write(dst, result);
    },
  }));
}

/** roundps, roundpd, roundss, roundsd. */
function rounding(k: Kind, opcode: string): Insn {
  const bits = k.shape.startsWith('f32') ? 32 : 64;
  return {
    name: `round${k.suffix}`,
    ref: ref(`round${k.suffix}`),
    forms: [{ op: `66 0f 3a ${opcode} /r`, args: `${k.args},Ib`, needs: 'sse4_1' }],
    sem(b, dst, src, by) {
      sseCheck(b);
      const v = readVec128(b, src);
      const imm = b.zext(b.read(by), 32);
      const lanes = v.width === 128 ? 128 / bits : 1;
      const [result] = b.call(
        'float-round',
        [v, imm, b.const(32, bits), b.const(32, lanes)],
        [v.width],
      );
      if (result) b.write(dst, result);
    },
  };
}

export const sseFloat: readonly Insn[] = [
  ...arithmetic('sqrt', '51'),
  ...arithmetic('add', '58'),
  ...arithmetic('mul', '59'),
  ...arithmetic('sub', '5c'),
  ...arithmetic('min', '5d'),
  ...arithmetic('div', '5e'),
  ...arithmetic('max', '5f'),
  horizontal('haddps', 'F2 0f 7c /r', 'add', 'f32x4'),
  horizontal('haddpd', '66 0f 7c /r', 'add', 'f64x2'),
  horizontal('hsubps', 'F2 0f 7d /r', 'sub', 'f32x4'),
  horizontal('hsubpd', '66 0f 7d /r', 'sub', 'f64x2'),
  addSub('addsubps', 'F2 0f d0 /r', 4),
  addSub('addsubpd', '66 0f d0 /r', 2),
  ...approximation('rsqrt', '52', true),
  ...approximation('rcp', '53', false),
  dotProduct('dpps', '40', 4),
  dotProduct('dppd', '41', 2),
  ...KINDS.map((k, n) => rounding(k, ['08', '09', '0a', '0b'][n] ?? '')),
];
