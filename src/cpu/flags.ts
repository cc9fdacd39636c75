// EFLAGS in TypeScript: the status flags out of their lazy fields, and whole values in and out.

import {
  EFLAGS_AF,
  EFLAGS_CF,
  EFLAGS_OF,
  EFLAGS_PF,
  EFLAGS_SF,
  EFLAGS_STATUS,
  EFLAGS_ZF,
} from './control-bits.ts';
import {
  FIELDS,
  type Field,
  FL_ADC,
  FL_ADD,
  FL_FULL,
  FL_LOGIC,
  FL_MIX,
  FL_SBB,
  FL_SUB,
  type State,
} from './state.ts';

/** Bit 1 of EFLAGS is always set. SDM 1 3.4.3. */
const ALWAYS_ONE = 2;

/** All of EFLAGS. */
export function readFlags(state: State): number {
  return (state.word(FIELDS.eflags) & ~EFLAGS_STATUS) | ALWAYS_ONE | statusFlags(state);
}

/** The same, and the status flags no longer lazy: whoever asks next finds them worked out. */
export function settleFlags(state: State): number {
  const all = readFlags(state);
  state.setWord(FIELDS.flOp, FL_FULL * 4);
  state.setWord(FIELDS.flAux, all & EFLAGS_STATUS);
  return all;
}

/** Replaces the flags in `mask`. The caller calls `modeChanged` if AC or VM changed, `checkInterrupts` if IF or TF did. */
export function writeFlags(state: State, value: number, mask: number): void {
  if ((mask & EFLAGS_STATUS) === 0) {
    const rest = state.word(FIELDS.eflags) & ~EFLAGS_STATUS;
    state.setWord(FIELDS.eflags, (rest & ~mask) | (value & mask) | ALWAYS_ONE);
    return;
  }
  // What is replaced as a whole need not be worked out.
  const known = (mask & EFLAGS_STATUS) === EFLAGS_STATUS;
  const old = known ? state.word(FIELDS.eflags) & ~EFLAGS_STATUS : readFlags(state);
  const all = (old & ~mask) | (value & mask) | ALWAYS_ONE;
  state.setWord(FIELDS.eflags, all & ~EFLAGS_STATUS);
  state.setWord(FIELDS.flOp, FL_FULL * 4);
  state.setWord(FIELDS.flAux, all & EFLAGS_STATUS);
}

/** A value of the result's width as two unsigned halves, brought to the top so that bit 63 is its sign. */
interface Lifted {
  readonly lo: number;
  readonly hi: number;
}

/** CF PF AF ZF SF OF at their EFLAGS places. See `FlagFn` in isa/ir.ts for what each kind means. */
export function statusFlags(state: State): number {
  const kind = state.word(FIELDS.flOp) >>> 2;
  if (kind === FL_FULL) return state.word(FIELDS.flAux) & EFLAGS_STATUS;
  const bits = 8 << (state.word(FIELDS.flOp) & 3);
  const low = state.word(FIELDS.flRes);
  const res = lift(low, highOf(state, FIELDS.flRes), bits);
  const common =
    (res.hi >>> 31 ? EFLAGS_SF : 0) |
    ((res.lo | res.hi) === 0 ? EFLAGS_ZF : 0) |
    (evenParity(low & 0xff) ? EFLAGS_PF : 0);
  if (kind === FL_LOGIC) return common;
  if (kind === FL_MIX)
    return common | (state.word(FIELDS.flAux) & (EFLAGS_CF | EFLAGS_AF | EFLAGS_OF));
  const lowX = state.word(FIELDS.flX);
  const x = lift(lowX, highOf(state, FIELDS.flX), bits);
  return common | carryFlags(kind, bits, low, lowX, res, x);
}

/** y = res - x for additions, x - res for subtractions, one less with a carry; only its sign and low bits matter. */
function carryFlags(
  kind: number,
  bits: number,
  low: number,
  lowX: number,
  res: Lifted,
  x: Lifted,
): number {
  const carried = kind === FL_ADC || kind === FL_SBB ? 1 : 0;
  const adds = kind === FL_ADD || kind === FL_ADC;
  if (!adds && kind !== FL_SUB && kind !== FL_SBB) return 0;
  const y = adds ? minus(res, x, carried, bits) : minus(x, res, carried, bits);
  const lowY = (adds ? low - lowX : lowX - low) - carried;
  const order = adds ? compare(res, x) : compare(x, y);
  const cf = order < 0 || (order === 0 && carried === 1);
  const differ = adds ? (res.hi ^ x.hi) & (res.hi ^ y.hi) : (x.hi ^ y.hi) & (x.hi ^ res.hi);
  return (cf ? EFLAGS_CF : 0) | ((low ^ lowX ^ lowY) & EFLAGS_AF) | (differ >>> 31 ? EFLAGS_OF : 0);
}

function highOf(state: State, { at }: Field): number {
  return state.views.u32[((state.base + at) >> 2) + 1] as number;
}

function lift(lo: number, hi: number, bits: number): Lifted {
  if (bits === 64) return { lo, hi };
  return { lo: 0, hi: (lo << (32 - bits)) >>> 0 };
}

function minus(a: Lifted, b: Lifted, borrow: number, bits: number): Lifted {
  if (bits !== 64) return { lo: 0, hi: (a.hi - b.hi - borrow * 2 ** (32 - bits)) >>> 0 };
  const lo = a.lo - b.lo - borrow;
  return { lo: lo >>> 0, hi: (a.hi - b.hi - (lo < 0 ? 1 : 0)) >>> 0 };
}

function compare(a: Lifted, b: Lifted): number {
  return a.hi === b.hi ? a.lo - b.lo : a.hi - b.hi;
}

function evenParity(byte: number): boolean {
  const nibble = byte ^ (byte >> 4);
  return ((0x6996 >> (nibble & 15)) & 1) === 0;
}
