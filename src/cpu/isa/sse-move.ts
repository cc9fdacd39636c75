// Moves between vector registers, memory and general registers: MMX, SSE to SSE4.1.

import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { enterMmx, isMm, mmxCheck, sseCheck, vectorCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { high64, lowOfZero, shuffle, writeMm } from './vector.ts';

/** Whole-register moves. Load and store forms; `aligned`: #GP(0) for memory not on a 16-byte boundary. */
function wholeMove(name: string, ref: string, aligned: boolean, forms: readonly Form[]): Insn {
  return {
    name,
    ref,
    forms,
    sem(b, dst, src) {
      sseCheck(b);
      if (aligned) b.writeAligned(dst, b.readAligned(src));
      else b.write(dst, b.read(src));
    },
  };
}

const both = (prefix: string, load: string, store: string, needs: string, x = 'x'): Form[] => [
  { op: `${prefix} 0f ${load} /r`, args: `V${x},W${x}`, needs },
  { op: `${prefix} 0f ${store} /r`, args: `W${x},V${x}`, needs },
];

/** movss, movsd: between registers the rest of the destination stays, from memory it is cleared. */
function scalarMove(
  name: string,
  ref: string,
  prefix: string,
  size: 'ss' | 'sd',
  needs: string,
): Insn {
  return {
    name,
    ref,
    forms: both(prefix, '10', '11', needs, size),
    sem(b, dst, src) {
      sseCheck(b);
      const v = b.read(src);
      b.write(dst, src.kind === 'mem' ? lowOfZero(b, v) : v);
    },
  };
}

/** One half of a register: `lane` 0 or 1, to and from 64 bits of memory. */
function halfMove(name: string, ref: string, opcode: number, lane: 0 | 1): Insn {
  const load = opcode.toString(16);
  const store = (opcode + 1).toString(16);
  const v = lane === 0 ? 'Vq' : 'Vdq';
  return {
    name: `${name}s`,
    ref,
    forms: [
      { op: `NP 0f ${load} /r`, args: `${v},Mq`, needs: 'sse' },
      { op: `NP 0f ${store} /r`, args: `Mq,${v}`, needs: 'sse' },
      { op: `66 0f ${load} /r`, args: `${v},Mq`, needs: 'sse2', name: `${name}d` },
      { op: `66 0f ${store} /r`, args: `Mq,${v}`, needs: 'sse2', name: `${name}d` },
    ],
    sem(b, dst, src) {
      sseCheck(b);
      const x = b.read(src);
      if (lane === 0) b.write(dst, x);
      else if (dst.kind === 'mem') b.write(dst, high64(b, x));
      else b.write(dst, b.vec('i64x2.replace_lane', [b.read(dst), x], [1]));
    },
  };
}

/** A general register or memory into the low lane, the rest cleared. */
function intoVector(b: Build, dst: Operand, src: Operand): void {
  vectorCheck(b, dst);
  const v = b.read(src);
  if (isMm(dst)) writeMm(b, dst, v);
  else b.write(dst, lowOfZero(b, v));
}

function outOfVector(b: Build, dst: Operand, src: Operand): void {
  vectorCheck(b, src);
  b.write(dst, b.read(src));
  if (isMm(src)) enterMmx(b);
}

const isVector = (o: Operand): boolean => o.kind === 'reg' && (o.file === 'mm' || o.file === 'xmm');

/** movd and movq between a vector register and a general one or memory. REX.W makes a movd a movq. */
const movd: Insn = {
  name: 'movd',
  ref: 'SDM 2B MOVD/MOVQ',
  forms: [
    { op: 'NP W0 0f 6e /r', args: 'Pd,Ed', needs: 'mmx' },
    { op: 'NP W1 0f 6e /r', args: 'Pq,Eq', needs: 'mmx', only: '64', name: 'movq' },
    { op: 'NP W0 0f 7e /r', args: 'Ed,Pd', needs: 'mmx' },
    { op: 'NP W1 0f 7e /r', args: 'Eq,Pq', needs: 'mmx', only: '64', name: 'movq' },
    { op: '66 W0 0f 6e /r', args: 'Vd,Ed', needs: 'sse2' },
    { op: '66 W1 0f 6e /r', args: 'Vq,Eq', needs: 'sse2', only: '64', name: 'movq' },
    { op: '66 W0 0f 7e /r', args: 'Ed,Vd', needs: 'sse2' },
    { op: '66 W1 0f 7e /r', args: 'Eq,Vq', needs: 'sse2', only: '64', name: 'movq' },
  ],
  sem(b, dst, src) {
    if (isVector(dst)) intoVector(b, dst, src);
    else outOfVector(b, dst, src);
  },
};

const movq: Insn = {
  name: 'movq',
  ref: 'SDM 2B MOVQ',
  forms: [
    { op: 'NP 0f 6f /r', args: 'Pq,Qq', needs: 'mmx' },
    { op: 'NP 0f 7f /r', args: 'Qq,Pq', needs: 'mmx' },
    { op: 'F3 0f 7e /r', args: 'Vq,Wq', needs: 'sse2' },
    { op: '66 0f d6 /r', args: 'Wq,Vq', needs: 'sse2' },
  ],
  sem(b, dst, src) {
    vectorCheck(b, dst, src);
    const v = b.read(src);
    if (isMm(dst)) return writeMm(b, dst, v);
    b.write(dst, dst.kind === 'reg' ? lowOfZero(b, v) : v);
    if (isMm(src)) enterMmx(b);
  },
};

/** Between mm and xmm registers. */
const movq2dq: Insn = {
  name: 'movq2dq',
  ref: 'SDM 2B MOVQ2DQ',
  forms: [{ op: 'F3 0f d6 /r', args: 'Vdq,Nq', needs: 'sse2' }],
  sem(b, dst, src) {
    vectorCheck(b, dst, src);
    b.write(dst, lowOfZero(b, b.read(src)));
    enterMmx(b);
  },
};
const movdq2q: Insn = {
  name: 'movdq2q',
  ref: 'SDM 2B MOVDQ2Q',
  forms: [{ op: 'F2 0f d6 /r', args: 'Pq,Uq', needs: 'sse2' }],
  sem(b, dst, src) {
    vectorCheck(b, dst, src);
    writeMm(b, dst, b.read(src));
  },
};

const movhlps: Insn = {
  name: 'movhlps',
  ref: 'SDM 2B MOVHLPS',
  forms: [{ op: 'NP 0f 12 /r', args: 'Vq,Udq', needs: 'sse' }],
  sem(b, dst, src) {
    sseCheck(b);
    b.write(dst, high64(b, b.read(src)));
  },
};
const movlhps: Insn = {
  name: 'movlhps',
  ref: 'SDM 2B MOVLHPS',
  forms: [{ op: 'NP 0f 16 /r', args: 'Vdq,Uq', needs: 'sse' }],
  sem(b, dst, src) {
    sseCheck(b);
    b.write(dst, b.vec('i64x2.replace_lane', [b.read(dst), b.read(src)], [1]));
  },
};

/** Stores past the caches. Nothing here has caches, so they are plain stores. */
const movntq: Insn = {
  name: 'movntq',
  ref: 'SDM 2B MOVNTQ',
  forms: [{ op: 'NP 0f e7 /r', args: 'Mq,Pq', needs: 'sse' }],
  sem(b, dst, src) {
    mmxCheck(b);
    b.write(dst, b.read(src));
    enterMmx(b);
  },
};

/** movddup, movsldup, movshdup: duplicated lanes. */
function duplicate(name: string, op: string, src: string, list: readonly number[]): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [{ op, args: `Vx,${src}`, needs: 'sse3' }],
    sem(b, dst, from) {
      sseCheck(b);
      const v = from.size === 64 ? b.read(from) : b.readAligned(from);
      b.write(dst, v.width === 64 ? b.vec('i64x2.splat', [v]) : shuffle(b, 4, v, v, list));
    },
  };
}

/** Stores the bytes whose sign bit is set in the mask, at DS:rDI. */
function maskedStore(name: string, op: string, args: string, needs: string): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [{ op, args, needs }],
    sem(b, src, mask) {
      vectorCheck(b, src, mask);
      const mm = isMm(src);
      const v = b.read(src);
      const m = b.read(mask);
      const wide = (x: Value) => (mm ? lowOfZero(b, x) : x);
      const at = b.linear('operand', b.reg('rdi', b.asize), mm ? 8 : 16, true);
      b.call('masked-store', [at, wide(v), wide(m)]);
      if (mm) enterMmx(b);
    },
  };
}

/** movmskps, movmskpd, pmovmskb: sign bits into a general register. */
function signMask(name: string, shape: string, forms: readonly Form[]): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms,
    sem(b, dst, src) {
      vectorCheck(b, src);
      const mm = isMm(src);
      const v = mm ? lowOfZero(b, b.read(src)) : b.read(src);
      b.write(dst, b.vec(`${shape}.bitmask`, [v], [], 32));
      if (mm) enterMmx(b);
    },
  };
}

export const sseMove: readonly Insn[] = [
  wholeMove('movups', 'SDM 2B MOVUPS', false, both('NP', '10', '11', 'sse')),
  wholeMove('movupd', 'SDM 2B MOVUPD', false, both('66', '10', '11', 'sse2')),
  wholeMove('movaps', 'SDM 2B MOVAPS', true, both('NP', '28', '29', 'sse')),
  wholeMove('movapd', 'SDM 2B MOVAPD', true, both('66', '28', '29', 'sse2')),
  wholeMove('movdqa', 'SDM 2B MOVDQA', true, both('66', '6f', '7f', 'sse2')),
  wholeMove('movdqu', 'SDM 2B MOVDQU', false, both('F3', '6f', '7f', 'sse2')),
  wholeMove('lddqu', 'SDM 2A LDDQU', false, [{ op: 'F2 0f f0 /r', args: 'Vx,Mx', needs: 'sse3' }]),
  wholeMove('movntps', 'SDM 2B MOVNTPS', true, [
    { op: 'NP 0f 2b /r', args: 'Mx,Vx', needs: 'sse' },
  ]),
  wholeMove('movntpd', 'SDM 2B MOVNTPD', true, [
    { op: '66 0f 2b /r', args: 'Mx,Vx', needs: 'sse2' },
  ]),
  wholeMove('movntdq', 'SDM 2B MOVNTDQ', true, [
    { op: '66 0f e7 /r', args: 'Mx,Vx', needs: 'sse2' },
  ]),
  wholeMove('movntdqa', 'SDM 2B MOVNTDQA', true, [
    { op: '66 0f 38 2a /r', args: 'Vx,Mx', needs: 'sse4_1' },
  ]),
  scalarMove('movss', 'SDM 2B MOVSS', 'F3', 'ss', 'sse'),
  scalarMove('movsd', 'SDM 2B MOVSD', 'F2', 'sd', 'sse2'),
  halfMove('movlp', 'SDM 2B MOVLPS, MOVLPD', 0x12, 0),
  halfMove('movhp', 'SDM 2B MOVHPS, MOVHPD', 0x16, 1),
  movd,
  movq,
  movq2dq,
  movdq2q,
  movhlps,
  movlhps,
  movntq,
  duplicate('movddup', 'F2 0f 12 /r', 'Wq', []),
  duplicate('movsldup', 'F3 0f 12 /r', 'Wx', [0, 0, 2, 2]),
  duplicate('movshdup', 'F3 0f 16 /r', 'Wx', [1, 1, 3, 3]),
  maskedStore('maskmovq', 'NP 0f f7 /r', 'Pq,Nq', 'sse'),
  maskedStore('maskmovdqu', '66 0f f7 /r', 'Vdq,Udq', 'sse2'),
  signMask('movmskps', 'i32x4', [{ op: 'NP 0f 50 /r', args: 'Gd,Udq', needs: 'sse' }]),
  signMask('movmskpd', 'i64x2', [{ op: '66 0f 50 /r', args: 'Gd,Udq', needs: 'sse2' }]),
  signMask('pmovmskb', 'i8x16', [
    { op: 'NP 0f d7 /r', args: 'Gd,Nq', needs: 'sse' },
    { op: '66 0f d7 /r', args: 'Gd,Udq', needs: 'sse2' },
  ]),
];
