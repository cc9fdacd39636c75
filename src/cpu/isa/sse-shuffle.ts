// Rearranging lanes: unpack, shuffle, insert and extract: MMX, SSE, SSE2.

import type { Build } from './build.ts';
import type { Form, Insn } from './define.ts';
import { enterMmx, isMm, vectorCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { binary, bytes, IOTA, lowOfZero, readVec, shuffle, writeVec } from './vector.ts';

const ref = (name: string): string => `SDM 2B ${name.toUpperCase()}`;

/** Lanes of x and y in turn, from the low or the high half of `total` lanes. */
function interleaved(total: number, high: boolean, all: number): number[] {
  const first = high ? total / 2 : 0;
  const out: number[] = [];
  for (let i = 0; i < all / 2; i++) out.push(first + i, first + i + all);
  return out.map((n) => n % (2 * all));
}

function unpack(name: string, opcode: string, size: number, high: boolean, mmx: boolean): Insn {
  const sse: Form = { op: `66 0f ${opcode} /r`, args: 'Vx,Wx', needs: 'sse2' };
  // Over mm registers the low unpacks read only 32 bits of memory. SDM 2B PUNPCKLBW.
  const q = high ? 'Qq' : 'Qd';
  const forms = mmx ? [{ op: `NP 0f ${opcode} /r`, args: `Pq,${q}`, needs: 'mmx' }, sse] : [sse];
  return {
    name,
    ref: ref(name),
    forms,
    sem(b, dst, src) {
      vectorCheck(b, dst, src);
      const mm = isMm(dst);
      const y = mm && !high ? b.vec('i32x4.splat', [b.read(src)]) : readVec(b, src);
      const x = readVec(b, dst);
      const all = 16 / size;
      writeVec(b, dst, shuffle(b, size, x, y, interleaved(mm ? all / 2 : all, high, all)));
    },
  };
}

function floatUnpack(name: string, op: string, size: number, high: boolean, needs: string): Insn {
  const all = 16 / size;
  return binary(name, ref(name), [{ op, args: 'Vx,Wx', needs }], (b, x, y) =>
    shuffle(b, size, x, y, interleaved(all, high, all)),
  );
}

/**
 * Four two-bit lane numbers of an immediate, as byte indices for a swizzle of lanes of `size` bytes (2 or 4).
 * The fields land in one byte each, times `size`; those bytes are then repeated and counted up within the lane.
 */
function laneIndex(b: Build, imm8: Value, size: 2 | 4): Value {
  const imm = b.zext(imm8, 32);
  const at = (n: number) => b.bin('shl', imm, b.const(32, n));
  const spread = b.bin('or', b.bin('or', imm, at(6)), b.bin('or', at(12), at(18)));
  const fields = b.bin('and', spread, b.const(32, 0x03030303));
  const scaled = b.bin('shl', fields, b.const(32, size === 4 ? 2 : 1));
  const v = b.vec('i32x4.splat', [scaled]);
  const repeated = b.vec(
    'i8x16.shuffle',
    [v, v],
    IOTA.map((i) => Math.floor(i / size) % 4),
  );
  return b.vec('i8x16.add', [
    repeated,
    bytes(
      b,
      IOTA.map((i) => i % size),
    ),
  ]);
}

/** pshufd, pshuflw, pshufhw, pshufw: lanes of the source, chosen by an immediate. */
function shuffleByImm(name: string, form: Form, part: 'dwords' | 'low' | 'high' | 'mm'): Insn {
  return {
    name,
    ref: ref(name),
    forms: [form],
    sem(b, dst, src, by) {
      vectorCheck(b, dst, src);
      const x = readVec(b, src);
      const index = laneIndex(b, b.read(by), part === 'dwords' ? 4 : 2);
      writeVec(b, dst, b.vec('i8x16.swizzle', [x, partIndex(b, index, part)]));
    },
  };
}

/** Keeps the indices of one half; the other half stays in place. */
function partIndex(b: Build, index: Value, part: 'dwords' | 'low' | 'high' | 'mm'): Value {
  if (part === 'dwords' || part === 'mm') return index;
  const iota = bytes(b, IOTA);
  if (part === 'low') return shuffle(b, 8, index, iota, [0, 3]);
  const up = b.vec('i8x16.add', [
    index,
    bytes(
      b,
      IOTA.map(() => 8),
    ),
  ]);
  return shuffle(b, 8, iota, up, [0, 3]);
}

/** Two lanes of the destination, then two of the source. */
const shufps: Insn = {
  name: 'shufps',
  ref: ref('shufps'),
  forms: [{ op: 'NP 0f c6 /r', args: 'Vx,Wx,Ib', needs: 'sse' }],
  sem(b, dst, src, by) {
    vectorCheck(b, dst);
    const y = readVec(b, src);
    const x = readVec(b, dst);
    const index = laneIndex(b, b.read(by), 4);
    const fromX = b.vec('i8x16.swizzle', [x, index]);
    const fromY = b.vec('i8x16.swizzle', [y, index]);
    writeVec(b, dst, shuffle(b, 8, fromX, fromY, [0, 3]));
  },
};

const shufpd: Insn = {
  name: 'shufpd',
  ref: ref('shufpd'),
  forms: [{ op: '66 0f c6 /r', args: 'Vx,Wx,Ib', needs: 'sse2' }],
  sem(b, dst, src, by) {
    vectorCheck(b, dst);
    const y = readVec(b, src);
    const x = readVec(b, dst);
    const imm = b.read(by);
    const half = (v: Value, n: number) =>
      b.select(
        b.bit(imm, n),
        b.vec('i64x2.extract_lane', [v], [1], 64),
        b.vec('i64x2.extract_lane', [v], [0], 64),
      );
    const low = b.vec('i64x2.splat', [half(x, 0)]);
    writeVec(b, dst, b.vec('i64x2.replace_lane', [low, half(y, 1)], [1]));
  },
};

/** `v` with the lane that the immediate names (modulo the number of lanes) replaced. */
export function insertLane(
  b: Build,
  shape: string,
  count: number,
  v: Value,
  x: Value,
  imm: Value,
): Value {
  const wide = shape === 'i64x2' ? 64 : 32;
  const n = b.zext(b.bin('and', imm, b.const(imm.width, count - 1)), wide);
  const size = 16 / count;
  const numbers = bytes(
    b,
    IOTA.map((i) => (i % size === 0 ? i / size : 0)),
  );
  const here = b.vec(`${shape}.eq`, [b.vec(`${shape}.splat`, [n]), numbers]);
  return b.vec('v128.bitselect', [b.vec(`${shape}.splat`, [x]), v, here]);
}

/** The vector moved down so that the lane that the immediate names is the lowest. */
export function laneDown(b: Build, count: number, v: Value, imm: Value): Value {
  const n = b.zext(b.bin('and', imm, b.const(imm.width, count - 1)), 32);
  const at = b.bin('mul', n, b.const(32, 16 / count));
  const index = b.vec('i8x16.add', [bytes(b, IOTA), b.vec('i8x16.splat', [at])]);
  return b.vec('i8x16.swizzle', [v, index]);
}

const pinsrw: Insn = {
  name: 'pinsrw',
  ref: ref('pinsrw'),
  forms: [
    { op: 'NP 0f c4 /r', args: 'Pq,Ed/w,Ib', needs: 'sse' },
    { op: '66 0f c4 /r', args: 'Vdq,Ed/w,Ib', needs: 'sse2' },
  ],
  sem(b, dst, src, by) {
    vectorCheck(b, dst);
    const mm = isMm(dst);
    const x = b.zext(b.read(src), 32);
    const v = readVec(b, dst);
    const lane = b.bin('and', b.read(by), b.const(8, mm ? 3 : 7));
    writeVec(b, dst, insertLane(b, 'i16x8', 8, v, x, lane));
  },
};

const pextrw: Insn = {
  name: 'pextrw',
  ref: ref('pextrw'),
  forms: [
    { op: 'NP 0f c5 /r', args: 'Gd,Nq,Ib', needs: 'sse' },
    { op: '66 0f c5 /r', args: 'Gd,Udq,Ib', needs: 'sse2' },
  ],
  sem(b, dst, src, by) {
    vectorCheck(b, src);
    const mm = isMm(src);
    const v = mm ? lowOfZero(b, b.read(src)) : b.read(src);
    const lane = b.bin('and', b.read(by), b.const(8, mm ? 3 : 7));
    b.write(dst, b.vec('i16x8.extract_lane_u', [laneDown(b, 8, v, lane)], [0], 32));
    if (mm) enterMmx(b);
  },
};

export const sseShuffle: readonly Insn[] = [
  unpack('punpcklbw', '60', 1, false, true),
  unpack('punpcklwd', '61', 2, false, true),
  unpack('punpckldq', '62', 4, false, true),
  unpack('punpcklqdq', '6c', 8, false, false),
  unpack('punpckhbw', '68', 1, true, true),
  unpack('punpckhwd', '69', 2, true, true),
  unpack('punpckhdq', '6a', 4, true, true),
  unpack('punpckhqdq', '6d', 8, true, false),
  floatUnpack('unpcklps', 'NP 0f 14 /r', 4, false, 'sse'),
  floatUnpack('unpcklpd', '66 0f 14 /r', 8, false, 'sse2'),
  floatUnpack('unpckhps', 'NP 0f 15 /r', 4, true, 'sse'),
  floatUnpack('unpckhpd', '66 0f 15 /r', 8, true, 'sse2'),
  shuffleByImm('pshufd', { op: '66 0f 70 /r', args: 'Vx,Wx,Ib', needs: 'sse2' }, 'dwords'),
  shuffleByImm('pshuflw', { op: 'F2 0f 70 /r', args: 'Vx,Wx,Ib', needs: 'sse2' }, 'low'),
  shuffleByImm('pshufhw', { op: 'F3 0f 70 /r', args: 'Vx,Wx,Ib', needs: 'sse2' }, 'high'),
  shuffleByImm('pshufw', { op: 'NP 0f 70 /r', args: 'Pq,Qq,Ib', needs: 'sse' }, 'mm'),
  shufps,
  shufpd,
  pinsrw,
  pextrw,
];
