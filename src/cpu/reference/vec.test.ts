// Compares the reference's SIMD instructions with the host's WebAssembly, instruction by instruction.

import { describe, expect, test } from 'vitest';
import { Random } from '../testing/random.ts';
import { Code, ModuleBuilder, type ValType } from '../wasm/encode.ts';
import { opcode } from '../wasm/opcodes.ts';
import { joinLanes, splitLanes } from './integers.ts';
import { evaluateVec, vecInstruction } from './vec.ts';

const SHAPES = ['i8x16', 'i16x8', 'i32x4', 'i64x2', 'f32x4', 'f64x2'];
const UNARY =
  'abs neg popcnt all_true any_true bitmask sqrt ceil floor trunc nearest not demote_f64x2_zero promote_low_f32x4';
const OPS = [
  ...`${UNARY} shuffle swizzle splat extract_lane extract_lane_s extract_lane_u replace_lane eq ne`.split(
    ' ',
  ),
  ...'lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u lt gt le ge shl shr_s shr_u add sub mul div min max'.split(
    ' ',
  ),
  ...'pmin pmax add_sat_s add_sat_u sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u'.split(' '),
  ...'q15mulr_sat_s dot_i16x8_s and andnot or xor bitselect const'.split(' '),
  ...['trunc_sat_f32x4_s', 'trunc_sat_f32x4_u', 'trunc_sat_f64x2_s_zero', 'trunc_sat_f64x2_u_zero'],
  ...['convert_i32x4_s', 'convert_i32x4_u', 'convert_low_i32x4_s', 'convert_low_i32x4_u'],
  ...[
    'narrow',
    'extend_low',
    'extend_high',
    'extmul_low',
    'extmul_high',
    'extadd_pairwise',
  ].flatMap((kind) =>
    ['i8x16', 'i16x8', 'i32x4'].flatMap((from) => [`${kind}_${from}_s`, `${kind}_${from}_u`]),
  ),
];
const NAMES = [...SHAPES, 'v128'].flatMap((shape) => OPS.map((op) => `${shape}.${op}`));
const KNOWN = NAMES.filter((name) => opcode(name) !== undefined);

function scalarOf(shape: string): ValType {
  if (shape === 'i64x2') return 'i64';
  if (shape === 'f32x4') return 'f32';
  return shape === 'f64x2' ? 'f64' : 'i32';
}

function signatureOf(name: string): { params: ValType[]; result: ValType } {
  const [shape = '', op = ''] = name.split('.');
  const scalar = scalarOf(shape);
  if (op === 'const') return { params: [], result: 'v128' };
  if (op === 'splat') return { params: [scalar], result: 'v128' };
  if (op.startsWith('extract_lane')) return { params: ['v128'], result: scalar };
  if (op === 'replace_lane') return { params: ['v128', scalar], result: 'v128' };
  if (/^sh[lr]/.test(op)) return { params: ['v128', 'i32'], result: 'v128' };
  if (op === 'bitselect') return { params: ['v128', 'v128', 'v128'], result: 'v128' };
  if (/_true$|^bitmask$/.test(op)) return { params: ['v128'], result: 'i32' };
  const one = UNARY.split(' ').includes(op) || /^(extend|extadd|trunc_sat|convert)/.test(op);
  return { params: one ? ['v128'] : ['v128', 'v128'], result: 'v128' };
}

const bytesOf = (type: ValType) =>
  type === 'v128' ? 16 : type === 'i64' || type === 'f64' ? 8 : 4;

/** Runs the instruction on the host; operands and result pass through memory. */
function hostInstruction(name: string, imm: readonly number[]): (args: bigint[]) => bigint {
  const { params, result } = signatureOf(name);
  const builder = new ModuleBuilder();
  builder.importMemory('e', 'm', 1);
  const code = new Code(0);
  code.i32(0);
  params.forEach((type, n) => {
    code.i32(0).mem(`${type}.load`, 16 + n * 16);
  });
  const o = opcode(name);
  if (o?.imm === 'lanes16') code.lanes(name as 'v128.const', imm);
  else code.op(name, imm[0] ?? 0);
  code.mem(`${result}.store`, 0);
  builder.addFunction(builder.type([], []), code.body(), 'f');
  const memory = new WebAssembly.Memory({ initial: 1 });
  const module = new WebAssembly.Module(builder.encode() as Uint8Array<ArrayBuffer>);
  const { f } = new WebAssembly.Instance(module, { e: { m: memory } }).exports;
  const words = new BigUint64Array(memory.buffer);
  return (args) => {
    words[0] = words[1] = 0n;
    args.forEach((a, n) => {
      words[2 + n * 2] = BigInt.asUintN(64, a);
      words[3 + n * 2] = a >> 64n;
    });
    (f as () => void)();
    return (words[0] as bigint) | ((words[1] as bigint) << 64n);
  };
}

/** WebAssembly leaves sign and payload of a NaN open (core specification 4.3.3). */
function withoutPayloads(name: string, value: bigint): bigint {
  const bits = name.startsWith('f32x4') ? 32 : name.startsWith('f64x2') ? 64 : 0;
  if (bits === 0 || /\.(abs|neg|pmin|pmax|splat|replace_lane|extract_lane)$/.test(name))
    return value;
  if (/\.(eq|ne|lt|gt|le|ge)$/.test(name)) return value;
  const exponent = bits === 32 ? 0x7f800000n : 0x7ff0000000000000n;
  const magnitude = (1n << BigInt(bits - 1)) - 1n;
  return joinLanes(
    splitLanes(value, bits).map((lane) => ((lane & magnitude) > exponent ? magnitude : lane)),
    bits,
  );
}

test('the reference knows exactly the SIMD instructions that can be encoded', () => {
  const known = NAMES.filter((name) => vecInstruction(name) !== null);
  expect(known).toEqual(KNOWN);
  expect(known.length).toBeGreaterThan(200);
});

describe.each(SHAPES.concat('v128'))('%s', (shape) => {
  test.each(KNOWN.filter((name) => name.startsWith(shape)))('%s agrees with the host', (name) => {
    const random = new Random(name.length * 7919 + name.charCodeAt(name.length - 1));
    const { params } = signatureOf(name);
    const lanes = opcode(name)?.imm === 'lanes16' ? 32 : 128 / Number(/^.(\d+)/.exec(shape)?.[1]);
    for (let round = 0; round < 12; round++) {
      const imm = Array.from({ length: 16 }, () =>
        random.below(name === 'v128.const' ? 256 : lanes),
      );
      const host = hostInstruction(name, imm);
      for (let n = 0; n < 8; n++) {
        const args = params.map((type) => {
          const wide = random.floats() | (random.floats() << 64n);
          return BigInt.asUintN(bytesOf(type) * 8, wide);
        });
        const ours = evaluateVec(name, args, imm);
        const text = `${name} ${args.map((a) => a.toString(16)).join(' ')} [${imm}]`;
        expect(`${text} = ${withoutPayloads(name, ours).toString(16)}`).toBe(
          `${text} = ${withoutPayloads(name, host(args)).toString(16)}`,
        );
      }
    }
  });
});
