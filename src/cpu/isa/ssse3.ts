// SSE3's and SSSE3's integer instructions: horizontal sums, signs, absolute values, byte shuffle.

import type { Build } from './build.ts';
import type { Form, Insn } from './define.ts';
import type { Value } from './ir.ts';
import { binary, bytes, IOTA, joinLow, shuffle, unary, type VecOp } from './vector.ts';

const ref = (name: string): string => `SDM 2B ${name.toUpperCase()}`;

function forms(opcode: string): Form[] {
  return [
    { op: `NP 0f 38 ${opcode} /r`, args: 'Pq,Qq', needs: 'ssse3' },
    { op: `66 0f 38 ${opcode} /r`, args: 'Vx,Wx', needs: 'ssse3' },
  ];
}

const ssse3Insn = (name: string, opcode: string, fn: VecOp): Insn =>
  binary(name, ref(name), forms(opcode), fn);

/** Neighbours within x, then within y, combined. Over mm registers the two halves are x and y. */
function horizontal(size: 2 | 4, fn: string): VecOp {
  const count = 16 / size;
  const even = IOTA.slice(0, count).map((i) => 2 * i);
  const odd = even.map((i) => i + 1);
  return (b, x, y, mm) => {
    const [p, q] = mm ? [joinLow(b, x, y), joinLow(b, x, y)] : [x, y];
    return b.vec(fn, [shuffle(b, size, p, q, even), shuffle(b, size, p, q, odd)]);
  };
}

/** The high bits of rounded Q15 products; the one overflow wraps on x86 and saturates in WebAssembly. */
const roundedProducts: VecOp = (b, x, y) => {
  const product = b.vec('i16x8.q15mulr_sat_s', [x, y]);
  const least = bytes(
    b,
    IOTA.map((i) => (i % 2 === 0 ? 0 : 0x80)),
  );
  const both = b.vec('v128.and', [b.vec('i16x8.eq', [x, least]), b.vec('i16x8.eq', [y, least])]);
  return b.vec('v128.xor', [product, both]);
};

/** Unsigned bytes of x times signed bytes of y, neighbours added with saturation. */
const unsignedBySigned: VecOp = (b, x, y) => {
  const eight = b.const(32, 8);
  const up = (v: Value) => b.vec('i16x8.shl', [v, eight]);
  const even = b.vec('i16x8.mul', [
    b.vec('i16x8.shr_u', [up(x), eight]),
    b.vec('i16x8.shr_s', [up(y), eight]),
  ]);
  const odd = b.vec('i16x8.mul', [
    b.vec('i16x8.shr_u', [x, eight]),
    b.vec('i16x8.shr_s', [y, eight]),
  ]);
  return b.vec('i16x8.add_sat_s', [even, odd]);
};

/** x where y is positive, -x where it is negative, 0 where it is 0. */
function signs(shape: string, bits: number): VecOp {
  return (b, x, y) => {
    const negative = b.vec(`${shape}.shr_s`, [y, b.const(32, bits - 1)]);
    const turned = b.vec(`${shape}.sub`, [b.vec('v128.xor', [x, negative]), negative]);
    return b.vec('v128.andnot', [turned, b.vec(`${shape}.eq`, [y, b.const(128, 0)])]);
  };
}

/** Bytes of x, chosen by y; a set sign bit gives 0. WebAssembly's swizzle gives 0 for every index above 15. */
function byteShuffle(b: Build, x: Value, y: Value, mm: boolean): Value {
  const kept = mm ? 0x87 : 0x8f;
  const mask = bytes(
    b,
    IOTA.map(() => kept),
  );
  return b.vec('i8x16.swizzle', [x, b.vec('v128.and', [y, mask])]);
}

function absolute(name: string, opcode: string, fn: string): Insn {
  return unary(name, ref(name), forms(opcode), (b, x) => b.vec(fn, [x]));
}

export const ssse3: readonly Insn[] = [
  ssse3Insn('pshufb', '00', byteShuffle),
  ssse3Insn('phaddw', '01', horizontal(2, 'i16x8.add')),
  ssse3Insn('phaddd', '02', horizontal(4, 'i32x4.add')),
  ssse3Insn('phaddsw', '03', horizontal(2, 'i16x8.add_sat_s')),
  ssse3Insn('pmaddubsw', '04', unsignedBySigned),
  ssse3Insn('phsubw', '05', horizontal(2, 'i16x8.sub')),
  ssse3Insn('phsubd', '06', horizontal(4, 'i32x4.sub')),
  ssse3Insn('phsubsw', '07', horizontal(2, 'i16x8.sub_sat_s')),
  ssse3Insn('psignb', '08', signs('i8x16', 8)),
  ssse3Insn('psignw', '09', signs('i16x8', 16)),
  ssse3Insn('psignd', '0a', signs('i32x4', 32)),
  ssse3Insn('pmulhrsw', '0b', roundedProducts),
  absolute('pabsb', '1c', 'i8x16.abs'),
  absolute('pabsw', '1d', 'i16x8.abs'),
  absolute('pabsd', '1e', 'i32x4.abs'),
];
