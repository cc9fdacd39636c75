// SSE4.1's integer instructions: blends, widening moves, minima, inserts and extracts, tests.

import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { sseCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { insertLane, laneDown } from './sse-shuffle.ts';
import {
  binary,
  IOTA,
  lowOfZero,
  maskFromImm,
  plain,
  readVec,
  shuffle,
  type VecOp,
} from './vector.ts';

const ref = (name: string): string => `SDM 2B ${name.toUpperCase()}`;

function form(opcode: string, args = 'Vx,Wx'): Form[] {
  return [{ op: `66 0f ${opcode} /r`, args, needs: 'sse4_1' }];
}

const direct = (name: string, opcode: string, fn: string): Insn =>
  binary(name, ref(name), form(`38 ${opcode}`), plain(fn));

/** Products of the even signed 32-bit lanes. */
const evenProducts: VecOp = (b, x, y) =>
  b.vec('i64x2.extmul_low_i32x4_s', [
    shuffle(b, 4, x, x, [0, 2, 0, 2]),
    shuffle(b, 4, y, y, [0, 2, 0, 2]),
  ]);

/** Sign or zero extension of the low lanes, by one, two or three doublings. */
function widen(name: string, opcode: string, from: number, to: number): Insn {
  const sign = name.startsWith('pmovsx') ? 's' : 'u';
  const size = { 64: 'q', 32: 'd', 16: 'w' }[(128 / to) * from] ?? 'q';
  return {
    name,
    ref: ref(name.slice(0, 6)),
    forms: form(`38 ${opcode}`, `Vx,W${size === 'q' ? 'q' : `dq/${size}`}`),
    sem(b, dst, src) {
      sseCheck(b);
      let v = widenSource(b, src);
      for (let bits = from; bits < to; bits *= 2)
        v = b.vec(`${shapeOf(bits * 2)}.extend_low_${shapeOf(bits)}_${sign}`, [v]);
      b.write(dst, v);
    },
  };
}

const shapeOf = (bits: number): string => `i${bits}x${128 / bits}`;

/** 64, 32 or 16 bits of memory, or a register; only the low lanes count. */
function widenSource(b: Build, src: Operand): Value {
  const v = b.read(src);
  if (v.width === 128) return v;
  return lowOfZero(b, v.width === 16 ? b.zext(v, 32) : v);
}

/** Lanes of the source where the immediate's bit is set. */
function blendByImm(name: string, opcode: string, size: number): Insn {
  return {
    name,
    ref: ref(name),
    forms: form(`3a ${opcode}`, 'Vx,Wx,Ib'),
    sem(b, dst, src, by) {
      sseCheck(b);
      const y = readVec(b, src);
      const mask = maskFromImm(b, b.read(by), size);
      b.write(dst, b.vec('v128.bitselect', [y, b.read(dst), mask]));
    },
  };
}

/** Lanes of the source where xmm0's sign bit is set. */
function blendByRegister(name: string, opcode: string, shape: string, bits: number): Insn {
  return binary(name, ref(name), form(`38 ${opcode}`), (b, x, y) => {
    const mask = b.vec(`${shape}.shr_s`, [b.xmm(0), b.const(32, bits - 1)]);
    return b.vec('v128.bitselect', [y, x, mask]);
  });
}

/** pinsrb, pinsrd, pinsrq. */
function insert(name: string, op: string, arg: string, shape: string, only64 = false): Insn {
  return {
    name,
    ref: ref('pinsrb'),
    forms: [
      { op, args: `Vdq,${arg},Ib`, needs: 'sse4_1', ...(only64 ? { only: '64' as const } : {}) },
    ],
    sem(b, dst, src, by) {
      sseCheck(b);
      const read = b.read(src);
      const x = read.width === 64 ? read : b.zext(read, 32);
      const count = shape === 'i8x16' ? 16 : shape === 'i32x4' ? 4 : 2;
      b.write(dst, insertLane(b, shape, count, b.read(dst), x, b.read(by)));
    },
  };
}

/** pextrb, pextrw (to memory too), pextrd, pextrq, extractps. */
function extract(name: string, op: string, arg: string, count: number, only64 = false): Insn {
  const lane = { 16: 'i8x16.extract_lane_u', 8: 'i16x8.extract_lane_u' }[count];
  return {
    name,
    ref: ref(name),
    forms: [
      { op, args: `${arg},Vdq,Ib`, needs: 'sse4_1', ...(only64 ? { only: '64' as const } : {}) },
    ],
    sem(b, dst, src, by) {
      sseCheck(b);
      const v = laneDown(b, count, b.read(src), b.read(by));
      const wide = count === 2;
      const fn = lane ?? (wide ? 'i64x2.extract_lane' : 'i32x4.extract_lane');
      const x = b.vec(fn, [v], [0], wide ? 64 : 32);
      b.write(dst, dst.kind === 'mem' && dst.size < 32 ? b.trunc(x, dst.size as 8 | 16) : x);
    },
  };
}

/** A lane of the source (imm 7:6; memory has one) to a lane of the destination (5:4), then lanes cleared (3:0). */
const insertps: Insn = {
  name: 'insertps',
  ref: ref('insertps'),
  forms: form('3a 21', 'Vdq,Wdq/d,Ib'),
  sem(b, dst, src, by) {
    sseCheck(b);
    const imm = b.read(by);
    const field = (at: number) => b.bin('shr', imm, b.const(8, at));
    const y = b.read(src);
    const x =
      y.width === 128 ? b.vec('i32x4.extract_lane', [laneDown(b, 4, y, field(6))], [0], 32) : y;
    const inserted = insertLane(b, 'i32x4', 4, b.read(dst), x, field(4));
    b.write(dst, b.vec('v128.andnot', [inserted, maskFromImm(b, imm, 4)]));
  },
};

/** ZF: no bit in common; CF: no bit of the source outside the destination. The other flags are cleared. */
const ptest: Insn = {
  name: 'ptest',
  ref: ref('ptest'),
  forms: form('38 17'),
  flags: { zf: 'w', cf: 'w', pf: '0', af: '0', sf: '0', of: '0' },
  sem(b, dst, src) {
    sseCheck(b);
    const y = readVec(b, src);
    const x = b.read(dst);
    const none = (v: Value) => b.isZero(b.vec('v128.any_true', [v], [], 32));
    const no = b.const(1, 0);
    b.setFlags({
      zf: none(b.vec('v128.and', [x, y])),
      cf: none(b.vec('v128.andnot', [y, x])),
      pf: no,
      af: no,
      sf: no,
      of: no,
    });
  },
};

/** The least of eight unsigned words and its index. */
const phminposuw: Insn = {
  name: 'phminposuw',
  ref: ref('phminposuw'),
  forms: form('38 41'),
  sem(b, dst, src) {
    sseCheck(b);
    const v = readVec(b, src);
    let least = v;
    for (const step of [8, 4, 2]) {
      const index = IOTA.map((i) => (i + step) % 16);
      least = b.vec('i16x8.min_u', [least, b.vec('i8x16.shuffle', [least, least], index)]);
    }
    const found = b.vec('i16x8.bitmask', [b.vec('i16x8.eq', [v, least])], [], 32);
    const word = b.vec('i16x8.extract_lane_u', [least], [0], 32);
    const place = b.bin('shl', b.un('ctz', found), b.const(32, 16));
    b.write(dst, lowOfZero(b, b.bin('or', word, place)));
  },
};

/** Eight sums of four absolute byte differences, of a sliding window over x and one group of y. */
const mpsadbw: Insn = {
  name: 'mpsadbw',
  ref: ref('mpsadbw'),
  forms: form('3a 42', 'Vx,Wx,Ib'),
  sem(b, dst, src, by) {
    sseCheck(b);
    const y = readVec(b, src);
    const imm = b.read(by);
    const x = b.read(dst);
    const group = b.vec('i32x4.splat', [
      b.vec('i32x4.extract_lane', [laneDown(b, 4, y, imm)], [0], 32),
    ]);
    // Bit 2 moves the window's start by four bytes.
    const start = b.bin('and', b.bin('shr', imm, b.const(8, 2)), b.const(8, 1));
    const from = laneDown(b, 4, x, start);
    const window = (first: number) =>
      b.vec(
        'i8x16.shuffle',
        [from, from],
        IOTA.map((i) => first + Math.floor(i / 4) + (i % 4)),
      );
    const sums = (w: Value) => fourByteSums(b, w, group);
    b.write(dst, b.vec('i16x8.narrow_i32x4_u', [sums(window(0)), sums(window(4))]));
  },
};

function fourByteSums(b: Build, x: Value, y: Value): Value {
  const diff = b.vec('v128.or', [
    b.vec('i8x16.sub_sat_u', [x, y]),
    b.vec('i8x16.sub_sat_u', [y, x]),
  ]);
  const words = b.vec('i16x8.extadd_pairwise_i8x16_u', [diff]);
  return b.vec('i32x4.extadd_pairwise_i16x8_u', [words]);
}

export const sse41: readonly Insn[] = [
  direct('pmulld', '40', 'i32x4.mul'),
  direct('pcmpeqq', '29', 'i64x2.eq'),
  direct('packusdw', '2b', 'i16x8.narrow_i32x4_u'),
  direct('pminsb', '38', 'i8x16.min_s'),
  direct('pminsd', '39', 'i32x4.min_s'),
  direct('pminuw', '3a', 'i16x8.min_u'),
  direct('pminud', '3b', 'i32x4.min_u'),
  direct('pmaxsb', '3c', 'i8x16.max_s'),
  direct('pmaxsd', '3d', 'i32x4.max_s'),
  direct('pmaxuw', '3e', 'i16x8.max_u'),
  direct('pmaxud', '3f', 'i32x4.max_u'),
  binary('pmuldq', ref('pmuldq'), form('38 28'), evenProducts),
  widen('pmovsxbw', '20', 8, 16),
  widen('pmovsxbd', '21', 8, 32),
  widen('pmovsxbq', '22', 8, 64),
  widen('pmovsxwd', '23', 16, 32),
  widen('pmovsxwq', '24', 16, 64),
  widen('pmovsxdq', '25', 32, 64),
  widen('pmovzxbw', '30', 8, 16),
  widen('pmovzxbd', '31', 8, 32),
  widen('pmovzxbq', '32', 8, 64),
  widen('pmovzxwd', '33', 16, 32),
  widen('pmovzxwq', '34', 16, 64),
  widen('pmovzxdq', '35', 32, 64),
  blendByImm('pblendw', '0e', 2),
  blendByImm('blendps', '0c', 4),
  blendByImm('blendpd', '0d', 8),
  blendByRegister('pblendvb', '10', 'i8x16', 8),
  blendByRegister('blendvps', '14', 'i32x4', 32),
  blendByRegister('blendvpd', '15', 'i64x2', 64),
  insert('pinsrb', '66 0f 3a 20 /r', 'Ed/b', 'i8x16'),
  insert('pinsrd', '66 W0 0f 3a 22 /r', 'Ed', 'i32x4'),
  insert('pinsrq', '66 W1 0f 3a 22 /r', 'Eq', 'i64x2', true),
  extract('pextrb', '66 0f 3a 14 /r', 'Ed/b', 16),
  extract('pextrw', '66 0f 3a 15 /r', 'Ed/w', 8),
  extract('pextrd', '66 W0 0f 3a 16 /r', 'Ed', 4),
  extract('pextrq', '66 W1 0f 3a 16 /r', 'Eq', 2, true),
  extract('extractps', '66 0f 3a 17 /r', 'Ed', 4),
  insertps,
  ptest,
  phminposuw,
  mpsadbw,
];
