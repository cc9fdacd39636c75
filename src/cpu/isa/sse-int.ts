// Integer arithmetic, comparison and logic over vectors: MMX and SSE2.

import type { Build } from './build.ts';
import type { Form, Insn } from './define.ts';
import type { Value } from './ir.ts';
import { binary, joinLow, mmxAndSse, plain, shuffle, type VecOp } from './vector.ts';

const ref = (name: string): string => `SDM 2B ${name.toUpperCase()}`;

/** An operation that is one WebAssembly instruction. `mmx`: what its form over mm registers needs. */
function direct(name: string, opcode: string, fn: string, mmx = 'mmx'): Insn {
  return binary(name, ref(name), mmxAndSse(opcode, mmx), plain(fn));
}

/** Bitwise operations; the float ones have the same meaning under other names. */
function logic(
  fn: string,
  int: string,
  intOpcode: string,
  float: string,
  floatOpcode: string,
): Insn[] {
  const op: VecOp = fn === 'v128.andnot' ? (b, x, y) => b.vec(fn, [y, x]) : plain(fn);
  const floats: Form[] = [
    { op: `NP 0f ${floatOpcode} /r`, args: 'Vx,Wx', needs: 'sse' },
    { op: `66 0f ${floatOpcode} /r`, args: 'Vx,Wx', needs: 'sse2', name: `${float}d` },
  ];
  return [
    binary(int, ref(int), mmxAndSse(intOpcode), op),
    binary(`${float}s`, ref(`${float}s`), floats, op),
  ];
}

/** High halves of the 32-bit products of signed or unsigned words. */
function highProducts(sign: 's' | 'u'): VecOp {
  return (b, x, y) =>
    shuffle(
      b,
      2,
      b.vec(`i32x4.extmul_low_i16x8_${sign}`, [x, y]),
      b.vec(`i32x4.extmul_high_i16x8_${sign}`, [x, y]),
      [1, 3, 5, 7, 9, 11, 13, 15],
    );
}

/** Products of the even unsigned 32-bit lanes. */
const evenProducts: VecOp = (b, x, y) => {
  const low = b.const(128, 0xffffffff_00000000_ffffffffn);
  return b.vec('i64x2.mul', [b.vec('v128.and', [x, low]), b.vec('v128.and', [y, low])]);
};

/** Sums of absolute differences of eight unsigned bytes. */
const absoluteDifferences: VecOp = (b, x, y) => {
  const diff = b.vec('v128.or', [
    b.vec('i8x16.sub_sat_u', [x, y]),
    b.vec('i8x16.sub_sat_u', [y, x]),
  ]);
  const words = b.vec('i16x8.extadd_pairwise_i8x16_u', [diff]);
  const dwords = b.vec('i32x4.extadd_pairwise_i16x8_u', [words]);
  const low = b.const(128, 0xffffffff_00000000_ffffffffn);
  return b.vec('i64x2.add', [
    b.vec('v128.and', [dwords, low]),
    b.vec('i64x2.shr_u', [dwords, b.const(32, 32)]),
  ]);
};

/** Narrowing with saturation: the lanes of x, then those of y. */
function pack(name: string, opcode: string, fn: string): Insn {
  return binary(name, ref(name), mmxAndSse(opcode), (b, x, y, mm) => narrow(b, fn, x, y, mm));
}

export function narrow(b: Build, fn: string, x: Value, y: Value, mm: boolean): Value {
  if (!mm) return b.vec(fn, [x, y]);
  const joined = joinLow(b, x, y);
  return b.vec(fn, [joined, joined]);
}

export const sseInt: readonly Insn[] = [
  direct('paddb', 'fc', 'i8x16.add'),
  direct('paddw', 'fd', 'i16x8.add'),
  direct('paddd', 'fe', 'i32x4.add'),
  direct('paddq', 'd4', 'i64x2.add', 'sse2'),
  direct('paddsb', 'ec', 'i8x16.add_sat_s'),
  direct('paddsw', 'ed', 'i16x8.add_sat_s'),
  direct('paddusb', 'dc', 'i8x16.add_sat_u'),
  direct('paddusw', 'dd', 'i16x8.add_sat_u'),
  direct('psubb', 'f8', 'i8x16.sub'),
  direct('psubw', 'f9', 'i16x8.sub'),
  direct('psubd', 'fa', 'i32x4.sub'),
  direct('psubq', 'fb', 'i64x2.sub', 'sse2'),
  direct('psubsb', 'e8', 'i8x16.sub_sat_s'),
  direct('psubsw', 'e9', 'i16x8.sub_sat_s'),
  direct('psubusb', 'd8', 'i8x16.sub_sat_u'),
  direct('psubusw', 'd9', 'i16x8.sub_sat_u'),
  direct('pcmpeqb', '74', 'i8x16.eq'),
  direct('pcmpeqw', '75', 'i16x8.eq'),
  direct('pcmpeqd', '76', 'i32x4.eq'),
  direct('pcmpgtb', '64', 'i8x16.gt_s'),
  direct('pcmpgtw', '65', 'i16x8.gt_s'),
  direct('pcmpgtd', '66', 'i32x4.gt_s'),
  direct('pmaxub', 'de', 'i8x16.max_u', 'sse'),
  direct('pminub', 'da', 'i8x16.min_u', 'sse'),
  direct('pmaxsw', 'ee', 'i16x8.max_s', 'sse'),
  direct('pminsw', 'ea', 'i16x8.min_s', 'sse'),
  direct('pavgb', 'e0', 'i8x16.avgr_u', 'sse'),
  direct('pavgw', 'e3', 'i16x8.avgr_u', 'sse'),
  direct('pmullw', 'd5', 'i16x8.mul'),
  direct('pmaddwd', 'f5', 'i32x4.dot_i16x8_s'),
  binary('pmulhw', ref('pmulhw'), mmxAndSse('e5'), highProducts('s')),
  binary('pmulhuw', ref('pmulhuw'), mmxAndSse('e4', 'sse'), highProducts('u')),
  binary('pmuludq', ref('pmuludq'), mmxAndSse('f4', 'sse2'), evenProducts),
  binary('psadbw', ref('psadbw'), mmxAndSse('f6', 'sse'), absoluteDifferences),
  pack('packsswb', '63', 'i8x16.narrow_i16x8_s'),
  pack('packuswb', '67', 'i8x16.narrow_i16x8_u'),
  pack('packssdw', '6b', 'i16x8.narrow_i32x4_s'),
  ...logic('v128.and', 'pand', 'db', 'andp', '54'),
  ...logic('v128.andnot', 'pandn', 'df', 'andnp', '55'),
  ...logic('v128.or', 'por', 'eb', 'orp', '56'),
  ...logic('v128.xor', 'pxor', 'ef', 'xorp', '57'),
];
