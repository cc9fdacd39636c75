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
/** Words of the state, and what else is imported, under names of this module: V8 takes those for constants, and every exit comes here. */
const EFLAGS = FIELDS.eflags.at >> 2;
const OP = FIELDS.flOp.at >> 2;
const AUX = FIELDS.flAux.at >> 2;
const STATUS = EFLAGS_STATUS;
const FULL = FL_FULL;

/** All of EFLAGS. */
export function readFlags(state: State): number {
  return (word(state, EFLAGS) & ~STATUS) | ALWAYS_ONE | statusFlags(state);
}

/** The same, and the status flags no longer lazy: whoever asks next finds them worked out. */
export function settleFlags(state: State): number {
  const all = readFlags(state);
  setWord(state, OP, FULL * 4);
  setWord(state, AUX, all & STATUS);
  return all;
}

/** Replaces the flags in `mask`. The caller calls `modeChanged` if AC or VM changed, `checkInterrupts` if IF or TF did. */
export function writeFlags(state: State, value: number, mask: number): void {
  if ((mask & STATUS) === 0) {
    const rest = word(state, EFLAGS) & ~STATUS;
    setWord(state, EFLAGS, (rest & ~mask) | (value & mask) | ALWAYS_ONE);
    return;
  }
  // What is replaced as a whole need not be worked out.
  const known = (mask & STATUS) === STATUS;
  const old = known ? word(state, EFLAGS) & ~STATUS : readFlags(state);
  const all = (old & ~mask) | (value & mask) | ALWAYS_ONE;
  setWord(state, EFLAGS, all & ~STATUS);
  setWord(state, OP, FULL * 4);
  setWord(state, AUX, all & STATUS);
}

function word({ views, base }: State, at: number): number {
  return views.u32[(base >> 2) + at]!;
}

function setWord({ views, base }: State, at: number, value: number): void {
  views.u32[(base >> 2) + at] = value;
}

/** A value of the result's width as two unsigned halves, brought to the top so that bit 63 is its sign. */
interface Lifted {
  readonly lo: number;
  readonly hi: number;
}

/** CF PF AF ZF SF OF at their EFLAGS places. See `FlagFn` in isa/ir.ts for what each kind means. */
export function statusFlags(state: State): number {
  const kind = word(state, OP) >>> 2;
  if (kind === FULL) return word(state, AUX) & STATUS;
  const bits = 8 << (word(state, OP) & 3);
  const low = state.word(FIELDS.flRes);
  const res = lift(low, highOf(state, FIELDS.flRes), bits);
  const common =
    (res.hi >>> 31 ? EFLAGS_SF : 0) |
    ((res.lo | res.hi) === 0 ? EFLAGS_ZF : 0) |
    (evenParity(low & 0xff) ? EFLAGS_PF : 0);
  if (kind === FL_LOGIC) return common;
  if (kind === FL_MIX) return common | (word(state, AUX) & (EFLAGS_CF | EFLAGS_AF | EFLAGS_OF));
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
