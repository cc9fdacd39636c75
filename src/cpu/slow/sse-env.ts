// How SSE arithmetic meets MXCSR: the environment for softfloat, lanes of operands, and what its exceptions do.

import { VECTOR_UD, VECTOR_XM } from '../fpu-fault.ts';
import type { FloatShape } from '../isa/ir.ts';
import {
  DE,
  F32,
  F64,
  type Format,
  IE,
  isDenormal,
  type Num,
  unpack,
  ZE,
} from '../softfloat/number.ts';
import type { Env } from '../softfloat/round.ts';
import { ARG_AT, FIELDS, RET_AT, type State } from '../state.ts';

const MXCSR_FLAGS = 0x3f;
const MXCSR_DAZ = 1 << 6;
const MXCSR_MASKS_SHIFT = 7;
const MXCSR_RC_SHIFT = 13;
const MXCSR_FTZ = 1 << 15;
const CR4_OSXMMEXCPT = 1 << 10;
/** Exceptions found before anything is computed. SDM 1 11.5.2. */
const BEFORE = IE | DE | ZE;

/** An environment from MXCSR. Flags start at zero: `settle` adds them. */
export function sseEnv(state: State): Env {
  const mxcsr = state.get(FIELDS.mxcsr);
  return {
    rounding: (mxcsr >> MXCSR_RC_SHIFT) & 3,
    masks: (mxcsr >> MXCSR_MASKS_SHIFT) & MXCSR_FLAGS,
    denormalsAreZero: (mxcsr & MXCSR_DAZ) !== 0,
    flushToZero: (mxcsr & MXCSR_FTZ) !== 0,
    nans: 'first',
    wrap: 0,
    flags: 0,
    roundedUp: false,
  };
}

/**
 * Adds the exceptions of an operation to MXCSR. Unmasked: #XM, or #UD if the system does not support it; with one
 * before computation in any lane, no lane reports one from after. Gives 1 if it has faulted. SDM 1 11.5.3, 3A 6.15.
 */
export function settle(state: State, env: Env): 0 | 1 {
  const unmasked = env.flags & ~env.masks;
  const seen = (unmasked & BEFORE) !== 0 ? env.flags & BEFORE : env.flags;
  state.set(FIELDS.mxcsr, state.get(FIELDS.mxcsr) | seen);
  if (unmasked === 0) return 0;
  const supported = (state.get(FIELDS.cr4) & CR4_OSXMMEXCPT) !== 0;
  return state.raise(supported ? VECTOR_XM : VECTOR_UD, null);
}

/** An operand of an instruction that honours DAZ: denormals become zeros of their sign. */
export function operand(env: Env, format: Format, bits: bigint): Num {
  const n = unpack(format, bits);
  if (env.denormalsAreZero && isDenormal(n) && 'sign' in n) return { kind: 'zero', sign: n.sign };
  return n;
}

export function formatOf(shape: FloatShape): Format {
  return shape.startsWith('f32') ? F32 : F64;
}
export function laneCount(shape: FloatShape): number {
  return shape === 'f32x4' ? 4 : shape === 'f64x2' ? 2 : 1;
}

/** Lane `lane` of argument `n`. */
export function argLane(state: State, format: Format, n: number, lane: number): bigint {
  return readLane(state, format, ARG_AT + n * 16, lane);
}
function readLane(state: State, format: Format, at: number, lane: number): bigint {
  const { u32, u64 } = state.views;
  if (format === F32) return BigInt(u32[((state.base + at) >> 2) + lane] as number);
  return u64[((state.base + at) >> 3) + lane] as bigint;
}

export function retLane(state: State, format: Format, n: number, lane: number, bits: bigint): void {
  const at = state.base + RET_AT + n * 16;
  if (format === F32) state.views.u32[(at >> 2) + lane] = Number(bits);
  else state.views.u64[(at >> 3) + lane] = bits;
}
