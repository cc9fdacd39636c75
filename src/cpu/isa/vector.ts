// Reading and writing xmm and mm operands as 128-bit values, and the few vector idioms that families share.

import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { isMm, vectorCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';

/** A 128-bit constant from its bytes, lowest first. */
export function bytes(b: Build, list: readonly number[]): Value {
  return b.const(
    128,
    list.reduce((n, byte, i) => n | (BigInt(byte & 0xff) << BigInt(8 * i)), 0n),
  );
}

export const IOTA = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** Byte lanes of a shuffle, from lanes of `size` bytes each (lanes of the second operand count on). */
export function lanes(size: number, list: readonly number[]): number[] {
  return list.flatMap((n) => IOTA.slice(0, size).map((i) => n * size + i));
}

export function shuffle(
  b: Build,
  size: number,
  x: Value,
  y: Value,
  list: readonly number[],
): Value {
  return b.vec('i8x16.shuffle', [x, y], lanes(size, list));
}

export function zero(b: Build): Value {
  return b.const(128, 0);
}

/** 32 or 64 bits in the low lane of a vector of zeros. */
export function lowOfZero(b: Build, v: Value): Value {
  return b.vec(v.width === 64 ? 'i64x2.replace_lane' : 'i32x4.replace_lane', [zero(b), v], [0]);
}

export function low64(b: Build, v: Value): Value {
  return b.vec('i64x2.extract_lane', [v], [0], 64);
}
export function high64(b: Build, v: Value): Value {
  return b.vec('i64x2.extract_lane', [v], [1], 64);
}

/** Whole vector operand. An mm register, or its memory counterpart, appears in both halves. 128-bit memory must be aligned. */
export function readVec(b: Build, o: Operand): Value {
  if (o.kind !== 'imm' && o.size === 64) return b.vec('i64x2.splat', [b.read(o)]);
  return b.readAligned(o);
}

/** Writes a vector operand: the low half, for an mm register. */
export function writeVec(b: Build, dst: Operand, v: Value): void {
  if (isMm(dst)) writeMm(b, dst, low64(b, v));
  else b.write(dst, v);
}

/** Writes an mm register. A slow path, since it changes the x87 register that the mm register lies in. */
export function writeMm(b: Build, dst: Operand, v: Value): void {
  b.call('mmx-write', [b.regNumber(dst), b.zext(v, 64)]);
}

/** [low half of x, low half of y]: what the pairwise MMX operations work on. */
export function joinLow(b: Build, x: Value, y: Value): Value {
  return shuffle(b, 8, x, y, [0, 2]);
}

export type VecOp = (b: Build, x: Value, y: Value, mm: boolean) => Value;

/** The forms of an integer operation that MMX introduced and SSE2 widened. */
export function mmxAndSse(opcode: string, mmx = 'mmx', sse = 'sse2'): Form[] {
  return [
    { op: `NP 0f ${opcode} /r`, args: 'Pq,Qq', needs: mmx },
    { op: `66 0f ${opcode} /r`, args: 'Vx,Wx', needs: sse },
  ];
}

/** An instruction `dst = fn(dst, src)` over whole vectors. */
export function binary(name: string, ref: string, forms: readonly Form[], fn: VecOp): Insn {
  return {
    name,
    ref,
    forms,
    sem(b, dst, src) {
      vectorCheck(b, dst, src);
      const y = readVec(b, src);
      const x = readVec(b, dst);
      writeVec(b, dst, fn(b, x, y, isMm(dst)));
    },
  };
}

/** An instruction `dst = fn(src)` over whole vectors. */
export function unary(
  name: string,
  ref: string,
  forms: readonly Form[],
  fn: (b: Build, x: Value, mm: boolean) => Value,
): Insn {
  return {
    name,
    ref,
    forms,
    sem(b, dst, src) {
      vectorCheck(b, dst, src);
      writeVec(b, dst, fn(b, readVec(b, src), isMm(dst)));
    },
  };
}

/** A WebAssembly SIMD instruction of two operands, as it is. */
export function plain(fn: string): VecOp {
  return (b, x, y) => b.vec(fn, [x, y]);
}

/** All ones in the lanes of `size` bytes whose bit is set in the immediate. */
export function maskFromImm(b: Build, imm: Value, size: number): Value {
  const bits = IOTA.slice(0, 16 / size).flatMap((i) => {
    const bit = 1 << i;
    return [bit & 0xff, bit >> 8, ...new Array<number>(Math.max(0, size - 2)).fill(0)].slice(
      0,
      size,
    );
  });
  const shape = size === 1 ? 'i8x16' : size === 2 ? 'i16x8' : size === 4 ? 'i32x4' : 'i64x2';
  const splat = b.vec(`${shape}.splat`, [b.zext(imm, size === 8 ? 64 : 32)]);
  const mask = bytes(b, bits);
  return b.vec(`${shape}.eq`, [b.vec('v128.and', [splat, mask]), mask]);
}
