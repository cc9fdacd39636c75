// Shifts of vector lanes and of whole registers: MMX and SSE2.

import type { Build } from './build.ts';
import type { Insn } from './define.ts';
import { isMm, vectorCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { bytes, IOTA, low64, mmxAndSse, readVec, writeVec, zero } from './vector.ts';

type Kind = 'shl' | 'shr_u' | 'shr_s';

/** A shift by a 64-bit count: at or above the lane's size nothing is left, or only the sign. */
function shiftBy(b: Build, shape: string, bits: number, kind: Kind, x: Value, count: Value): Value {
  const over = b.cmp('ltu', b.const(64, bits - 1), count);
  const count32 = b.trunc(count, 32);
  if (kind === 'shr_s') {
    const capped = b.select(over, b.const(32, bits - 1), count32);
    return b.vec(`${shape}.shr_s`, [x, capped]);
  }
  return b.select(over, zero(b), b.vec(`${shape}.${kind}`, [x, count32]));
}

/** By a register or memory: opcode `opcode`; by an immediate: `group` `/digit`. */
function shift(
  name: string,
  kind: Kind,
  shape: string,
  bits: number,
  opcode: string,
  group: string,
): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [
      ...mmxAndSse(opcode),
      { op: `NP 0f ${group}`, args: 'Nq,Ib', needs: 'mmx' },
      { op: `66 0f ${group}`, args: 'Udq,Ib', needs: 'sse2' },
    ],
    sem(b, dst, by) {
      vectorCheck(b, dst);
      const count = by.kind === 'imm' ? b.zext(b.read(by), 64) : low64(b, readVec(b, by));
      writeVec(b, dst, shiftBy(b, shape, bits, kind, readVec(b, dst), count));
    },
  };
}

/** Moves the bytes of a register up or down by an immediate; zeros come in. */
function byteShift(name: string, digit: number, left: boolean): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [{ op: `66 0f 73 /${digit}`, args: 'Udq,Ib', needs: 'sse2' }],
    sem(b, dst, by) {
      vectorCheck(b, dst);
      const n = b.zext(b.read(by), 32);
      const x = readVec(b, dst);
      writeVec(b, dst, left ? bytesUp(b, x, n) : bytesDown(b, x, n));
    },
  };
}

/** An index at or above 16 selects a zero: so a shift is a swizzle. */
function bytesDown(b: Build, x: Value, n: Value): Value {
  const index = b.vec('i8x16.add_sat_u', [bytes(b, IOTA), b.vec('i8x16.splat', [n])]);
  return b.vec('i8x16.swizzle', [x, index]);
}

function bytesUp(b: Build, x: Value, n: Value): Value {
  const most = b.const(32, 16);
  const capped = b.select(b.cmp('ltu', n, most), n, most);
  const index = b.vec('i8x16.sub', [bytes(b, IOTA), b.vec('i8x16.splat', [capped])]);
  return b.vec('i8x16.swizzle', [x, index]);
}

/** The 16 (xmm) or 8 (mm) bytes at byte `n` of the pair [src, dst]. SDM 2B PALIGNR. */
const palignr: Insn = {
  name: 'palignr',
  ref: 'SDM 2B PALIGNR',
  forms: [
    { op: 'NP 0f 3a 0f /r', args: 'Pq,Qq,Ib', needs: 'ssse3' },
    { op: '66 0f 3a 0f /r', args: 'Vx,Wx,Ib', needs: 'ssse3' },
  ],
  sem(b, dst, src, by) {
    vectorCheck(b, dst);
    const low = readVec(b, src);
    const high = readVec(b, dst);
    const n = b.zext(b.read(by), 32);
    if (isMm(dst)) {
      const pair = b.vec('i64x2.replace_lane', [low, low64(b, high)], [1]);
      return writeVec(b, dst, bytesDown(b, pair, n));
    }
    const index = b.vec('i8x16.add_sat_u', [bytes(b, IOTA), b.vec('i8x16.splat', [n])]);
    const above = b.vec('i8x16.sub', [
      index,
      bytes(
        b,
        IOTA.map(() => 16),
      ),
    ]);
    writeVec(
      b,
      dst,
      b.vec('v128.or', [
        b.vec('i8x16.swizzle', [low, index]),
        b.vec('i8x16.swizzle', [high, above]),
      ]),
    );
  },
};

export const sseShift: readonly Insn[] = [
  shift('psllw', 'shl', 'i16x8', 16, 'f1', '71 /6'),
  shift('pslld', 'shl', 'i32x4', 32, 'f2', '72 /6'),
  shift('psllq', 'shl', 'i64x2', 64, 'f3', '73 /6'),
  shift('psrlw', 'shr_u', 'i16x8', 16, 'd1', '71 /2'),
  shift('psrld', 'shr_u', 'i32x4', 32, 'd2', '72 /2'),
  shift('psrlq', 'shr_u', 'i64x2', 64, 'd3', '73 /2'),
  shift('psraw', 'shr_s', 'i16x8', 16, 'e1', '71 /4'),
  shift('psrad', 'shr_s', 'i32x4', 32, 'e2', '72 /4'),
  byteShift('psrldq', 3, false),
  byteShift('pslldq', 7, true),
  palignr,
];
