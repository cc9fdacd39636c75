// WebAssembly instructions by name: opcode bytes and what immediates follow (core specification 2.0, 5.4).

/** What follows the opcode. `mem`: alignment and offset; `lanes`: that many bytes. */
export type Immediate =
  | 'none'
  | 'block'
  | 'label'
  | 'index'
  | 'mem'
  | 'mem-lane'
  | 'i32'
  | 'i64'
  | 'lane'
  | 'lanes16'
  | 'special';

export interface Opcode {
  readonly name: string;
  readonly bytes: readonly number[];
  /** The only byte, of one that has neither more nor an immediate; else -1. */
  readonly plain: number;
  readonly imm: Immediate;
  /** log2 of the natural alignment, for memory instructions. */
  readonly align: number;
}

const table = new Map<string, Opcode>();

export function opcode(name: string): Opcode | undefined {
  return table.get(name);
}

function add(code: number, names: string, imm: Immediate = 'none', align = 0): void {
  names.split(' ').forEach((name, i) => {
    const plain = imm === 'none' ? code + i : -1;
    if (name !== '-') table.set(name, { name, bytes: [code + i], plain, imm, align });
  });
}

function simd(code: number, names: string, imm: Immediate = 'none', align = 0): void {
  names.split(' ').forEach((name, i) => {
    const n = code + i;
    if (name !== '-')
      table.set(name, {
        name,
        bytes: n < 0x80 ? [0xfd, n] : [0xfd, (n & 0x7f) | 0x80, n >> 7],
        plain: -1,
        imm,
        align,
      });
  });
}

add(0x00, 'unreachable nop');
add(0x02, 'block loop if', 'block');
add(0x05, 'else');
add(0x0b, 'end');
add(0x0c, 'br br_if', 'label');
add(0x0e, 'br_table', 'special');
add(0x0f, 'return');
add(0x10, 'call', 'index');
add(0x11, 'call_indirect', 'special');
add(0x1a, 'drop select');
add(0x20, 'local.get local.set local.tee global.get global.set', 'index');
add(0x28, 'i32.load', 'mem', 2);
add(0x29, 'i64.load', 'mem', 3);
add(0x2a, 'f32.load', 'mem', 2);
add(0x2b, 'f64.load', 'mem', 3);
add(0x2c, 'i32.load8_s i32.load8_u', 'mem', 0);
add(0x2e, 'i32.load16_s i32.load16_u', 'mem', 1);
add(0x30, 'i64.load8_s i64.load8_u', 'mem', 0);
add(0x32, 'i64.load16_s i64.load16_u', 'mem', 1);
add(0x34, 'i64.load32_s i64.load32_u', 'mem', 2);
add(0x36, 'i32.store', 'mem', 2);
add(0x37, 'i64.store', 'mem', 3);
add(0x38, 'f32.store', 'mem', 2);
add(0x39, 'f64.store', 'mem', 3);
add(0x3a, 'i32.store8', 'mem', 0);
add(0x3b, 'i32.store16', 'mem', 1);
add(0x3c, 'i64.store8', 'mem', 0);
add(0x3d, 'i64.store16', 'mem', 1);
add(0x3e, 'i64.store32', 'mem', 2);
add(0x41, 'i32.const', 'i32');
add(0x42, 'i64.const', 'i64');
add(0x43, 'f32.const f64.const', 'special');
add(
  0x45,
  'i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u',
);
add(
  0x50,
  'i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u',
);
add(0x5b, 'f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge');
add(
  0x67,
  'i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr',
);
add(
  0x79,
  'i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr',
);
add(
  0x8b,
  'f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign',
);
add(
  0x99,
  'f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign',
);
add(
  0xa7,
  'i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u',
);
add(
  0xb2,
  'f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32',
);
add(0xbc, 'i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64');
add(0xc0, 'i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s');
table.set('memory.copy', {
  name: 'memory.copy',
  bytes: [0xfc, 10, 0, 0],
  plain: -1,
  imm: 'none',
  align: 0,
});
table.set('memory.fill', {
  name: 'memory.fill',
  bytes: [0xfc, 11, 0],
  plain: -1,
  imm: 'none',
  align: 0,
});

simd(0, 'v128.load', 'mem', 4);
simd(
  1,
  'v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u',
  'mem',
  3,
);
simd(7, 'v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat', 'mem');
simd(11, 'v128.store', 'mem', 4);
simd(12, 'v128.const i8x16.shuffle', 'lanes16');
simd(14, 'i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat');
simd(
  21,
  'i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane',
  'lane',
);
const compares = (s: string) =>
  ['eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u']
    .map((c) => `${s}.${c}`)
    .join(' ');
simd(35, `${compares('i8x16')} ${compares('i16x8')} ${compares('i32x4')}`);
const floatCompares = (s: string) =>
  ['eq', 'ne', 'lt', 'gt', 'le', 'ge'].map((c) => `${s}.${c}`).join(' ');
simd(65, `${floatCompares('f32x4')} ${floatCompares('f64x2')}`);
simd(77, 'v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true');
simd(
  84,
  'v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane',
  'mem-lane',
);
simd(92, 'v128.load32_zero v128.load64_zero', 'mem');
simd(94, 'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4');
simd(
  96,
  'i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u',
);
simd(
  128,
  'i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u - i16x8.avgr_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u',
);
simd(
  160,
  'i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - - i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s - i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u',
);
simd(
  192,
  'i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - - i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u',
);
simd(
  224,
  'f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u',
);
