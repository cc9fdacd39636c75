// WebAssembly's SIMD instructions by name, lane by lane, as the core specification (4.3, 4.4.3) defines them.

import { bug } from '../../base/errors.ts';
import { countOnes, joinLanes, signed, splitLanes, unsigned } from './integers.ts';
import { floatInstruction, type VecFn } from './vec-float.ts';

const ONES = (1n << 128n) - 1n;
const SHAPES = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64 } as const;
const ALL = [8, 16, 32, 64];

/** Evaluates instruction `name`. */
export function evaluateVec(
  name: string,
  args: readonly bigint[],
  imm: readonly number[] = [],
): bigint {
  return (vecInstruction(name) ?? bug(`no WebAssembly SIMD instruction is called ${name}`))(
    args,
    imm,
  );
}

export function vecInstruction(name: string): VecFn | null {
  const [shape = '', op = ''] = name.split('.');
  if (shape === 'v128') return WHOLE[op] ?? null;
  if (shape === 'f32x4' || shape === 'f64x2') return floatInstruction(shape, op);
  const bits = SHAPES[shape as keyof typeof SHAPES];
  if (bits === undefined) return null;
  return (
    laneWise(bits, op) ?? special(bits, op) ?? widening(bits, op) ?? floatInstruction(shape, op)
  );
}

const arg = (args: readonly bigint[], n: number): bigint =>
  args[n] ?? bug(`a SIMD instruction lacks operand ${n}`);

const WHOLE: Readonly<Record<string, VecFn>> = {
  const: (_, imm) => joinLanes(imm.map(BigInt), 8),
  not: ([a = 0n]) => a ^ ONES,
  and: (args) => arg(args, 0) & arg(args, 1),
  andnot: (args) => arg(args, 0) & (arg(args, 1) ^ ONES),
  or: (args) => arg(args, 0) | arg(args, 1),
  xor: (args) => arg(args, 0) ^ arg(args, 1),
  bitselect: (args) => (arg(args, 0) & arg(args, 2)) | (arg(args, 1) & (arg(args, 2) ^ ONES)),
  any_true: ([a = 0n]) => (a === 0n ? 0n : 1n),
};

/** One lane from one lane of each operand; `u` are unsigned, `s` signed values. The result is truncated. */
interface LaneOp {
  readonly shapes: readonly number[];
  readonly operands: 1 | 2;
  f(u: readonly [bigint, bigint], s: readonly [bigint, bigint], bits: number): bigint;
}

const clamp = (v: bigint, low: bigint, high: bigint) => (v < low ? low : v > high ? high : v);
const saturateS = (v: bigint, bits: number) =>
  clamp(v, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n);
const saturateU = (v: bigint, bits: number) => clamp(v, 0n, (1n << BigInt(bits)) - 1n);
const smaller = (a: bigint, b: bigint) => (a < b ? a : b);
const larger = (a: bigint, b: bigint) => (a > b ? a : b);
const truth = (yes: boolean) => (yes ? -1n : 0n);
const two = (shapes: readonly number[], f: LaneOp['f']): LaneOp => ({ shapes, operands: 2, f });
const one = (shapes: readonly number[], f: LaneOp['f']): LaneOp => ({ shapes, operands: 1, f });
const NOT64 = [8, 16, 32];
const SMALL = [8, 16];

const LANE_OPS: Readonly<Record<string, LaneOp>> = {
  eq: two(ALL, ([a, b]) => truth(a === b)),
  ne: two(ALL, ([a, b]) => truth(a !== b)),
  lt_s: two(ALL, (_, [a, b]) => truth(a < b)),
  lt_u: two(NOT64, ([a, b]) => truth(a < b)),
  gt_s: two(ALL, (_, [a, b]) => truth(a > b)),
  gt_u: two(NOT64, ([a, b]) => truth(a > b)),
  le_s: two(ALL, (_, [a, b]) => truth(a <= b)),
  le_u: two(NOT64, ([a, b]) => truth(a <= b)),
  ge_s: two(ALL, (_, [a, b]) => truth(a >= b)),
  ge_u: two(NOT64, ([a, b]) => truth(a >= b)),
  abs: one(ALL, (_, [a]) => (a < 0n ? -a : a)),
  neg: one(ALL, ([a]) => -a),
  popcnt: one([8], ([a]) => countOnes(a)),
  add: two(ALL, ([a, b]) => a + b),
  sub: two(ALL, ([a, b]) => a - b),
  mul: two([16, 32, 64], ([a, b]) => a * b),
  add_sat_s: two(SMALL, (_, [a, b], bits) => saturateS(a + b, bits)),
  add_sat_u: two(SMALL, ([a, b], _, bits) => saturateU(a + b, bits)),
  sub_sat_s: two(SMALL, (_, [a, b], bits) => saturateS(a - b, bits)),
  sub_sat_u: two(SMALL, ([a, b], _, bits) => saturateU(a - b, bits)),
  min_s: two(NOT64, (_, [a, b]) => smaller(a, b)),
  min_u: two(NOT64, ([a, b]) => smaller(a, b)),
  max_s: two(NOT64, (_, [a, b]) => larger(a, b)),
  max_u: two(NOT64, ([a, b]) => larger(a, b)),
  avgr_u: two(SMALL, ([a, b]) => (a + b + 1n) >> 1n),
  q15mulr_sat_s: two([16], (_, [a, b], bits) => saturateS((a * b + 0x4000n) >> 15n, bits)),
};

function laneWise(bits: number, op: string): VecFn | null {
  const lane = LANE_OPS[op];
  if (!lane?.shapes.includes(bits)) return null;
  return (args) => {
    const a = splitLanes(arg(args, 0), bits);
    const b = lane.operands === 2 ? splitLanes(arg(args, 1), bits) : a;
    const results = a.map((x, n) => {
      const y = b[n] ?? 0n;
      return lane.f([x, y], [signed(x, bits), signed(y, bits)], bits);
    });
    return joinLanes(results, bits);
  };
}

const SHIFTS: Readonly<Record<string, (lane: bigint, count: bigint, bits: number) => bigint>> = {
  shl: (a, count) => a << count,
  shr_u: (a, count) => a >> count,
  shr_s: (a, count, bits) => signed(a, bits) >> count,
};

/** Lanes by number, tests over all lanes, shifts, and permutations of bytes. */
function special(bits: number, op: string): VecFn | null {
  const shift = SHIFTS[op];
  if (shift) {
    return (args) => {
      const count = arg(args, 1) % BigInt(bits);
      return joinLanes(
        splitLanes(arg(args, 0), bits).map((lane) => shift(lane, count, bits)),
        bits,
      );
    };
  }
  const lanesOf = (args: readonly bigint[]) => splitLanes(arg(args, 0), bits);
  switch (op) {
    case 'splat':
      return (args) => joinLanes(Array(128 / bits).fill(arg(args, 0)), bits);
    case 'all_true':
      return (args) => (lanesOf(args).every((lane) => lane !== 0n) ? 1n : 0n);
    case 'bitmask':
      return (args) =>
        joinLanes(
          lanesOf(args).map((lane) => lane >> BigInt(bits - 1)),
          1,
        );
    case 'extract_lane':
      return bits >= 32 ? (args, imm) => laneAt(lanesOf(args), imm) : null;
    case 'extract_lane_u':
      return bits < 32 ? (args, imm) => laneAt(lanesOf(args), imm) : null;
    case 'extract_lane_s':
      return bits < 32
        ? (args, imm) => unsigned(signed(laneAt(lanesOf(args), imm), bits), 32)
        : null;
    case 'replace_lane':
      return (args, imm) => {
        const lanes = lanesOf(args);
        laneAt(lanes, imm);
        lanes[imm[0] as number] = arg(args, 1);
        return joinLanes(lanes, bits);
      };
    case 'shuffle':
      return bits === 8 ? shuffle : null;
    case 'swizzle':
      return bits === 8 ? swizzle : null;
    default:
      return null;
  }
}

function laneAt(lanes: readonly bigint[], imm: readonly number[]): bigint {
  return lanes[imm[0] ?? -1] ?? bug(`no lane ${imm[0]} among ${lanes.length}`);
}

function shuffle(args: readonly bigint[], imm: readonly number[]): bigint {
  const bytes = [...splitLanes(arg(args, 0), 8), ...splitLanes(arg(args, 1), 8)];
  if (imm.length !== 16) bug(`shuffle has ${imm.length} immediates, not 16`);
  return joinLanes(
    imm.map((n) => laneAt(bytes, [n])),
    8,
  );
}

function swizzle(args: readonly bigint[]): bigint {
  const bytes = splitLanes(arg(args, 0), 8);
  return joinLanes(
    splitLanes(arg(args, 1), 8).map((n) => bytes[Number(n)] ?? 0n),
    8,
  );
}

const WIDENING =
  /^(narrow|extend_low|extend_high|extmul_low|extmul_high|extadd_pairwise|dot)_(i8x16|i16x8|i32x4)_(s|u)$/;

/** Instructions that read lanes of another size than they write. */
function widening(bits: number, op: string): VecFn | null {
  const [, kind, source, sign] = WIDENING.exec(op) ?? [];
  if (!kind || !source) return null;
  const from = SHAPES[source as keyof typeof SHAPES];
  if (kind === 'narrow') return from === bits * 2 ? narrow(bits, sign === 's') : null;
  if (from * 2 !== bits) return null;
  const read = (v: bigint) => splitLanes(v, from).map((x) => (sign === 's' ? signed(x, from) : x));
  const half = (lanes: bigint[]) =>
    op.includes('_low_') ? lanes.slice(0, lanes.length / 2) : lanes.slice(lanes.length / 2);
  const pairs = (lanes: bigint[]) =>
    Array.from(
      { length: lanes.length / 2 },
      (_, n) => (lanes[2 * n] ?? 0n) + (lanes[2 * n + 1] ?? 0n),
    );
  const products = (x: bigint[], y: bigint[]) => x.map((a, n) => a * (y[n] ?? 0n));
  if (kind.startsWith('extend')) return (args) => joinLanes(half(read(arg(args, 0))), bits);
  if (kind.startsWith('extmul'))
    return (args) => joinLanes(products(half(read(arg(args, 0))), half(read(arg(args, 1)))), bits);
  if (kind === 'dot') {
    if (op !== 'dot_i16x8_s') return null;
    return (args) => joinLanes(pairs(products(read(arg(args, 0)), read(arg(args, 1)))), bits);
  }
  if (bits === 64) return null; // extadd_pairwise exists for 16 and 32 bits only.
  return (args) => joinLanes(pairs(read(arg(args, 0))), bits);
}

/** Both signednesses read signed lanes; they differ in the range they saturate to. */
function narrow(bits: number, toSigned: boolean): VecFn | null {
  if (bits > 16) return null;
  return (args) => {
    const lanes = [...splitLanes(arg(args, 0), bits * 2), ...splitLanes(arg(args, 1), bits * 2)];
    const saturate = toSigned ? saturateS : saturateU;
    return joinLanes(
      lanes.map((lane) => saturate(signed(lane, bits * 2), bits)),
      bits,
    );
  };
}
