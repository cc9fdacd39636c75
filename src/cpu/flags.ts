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
/** Words of the state. */
const EFLAGS = FIELDS.eflags.at >> 2;
const OP = FIELDS.flOp.at >> 2;
const AUX = FIELDS.flAux.at >> 2;
const RES = FIELDS.flRes.at >> 2;
const X = FIELDS.flX.at >> 2;
const MIXED = EFLAGS_CF | EFLAGS_AF | EFLAGS_OF;
/** The code of 64 bits among sizes. */
const WIDE = 3;

/** All of EFLAGS. */
export function readFlags(state: State): number {
  return (word(state, EFLAGS) & ~EFLAGS_STATUS) | ALWAYS_ONE | statusFlags(state);
}

/** The same, and the status flags no longer lazy: whoever asks next finds them worked out. */
export function settleFlags(state: State): number {
  const all = readFlags(state);
  setWord(state, OP, FL_FULL * 4);
  setWord(state, AUX, all & EFLAGS_STATUS);
  return all;
}

/** Replaces the flags in `mask`. The caller calls `modeChanged` if AC or VM changed, `checkInterrupts` if IF or TF did. */
export function writeFlags(state: State, value: number, mask: number): void {
  if ((mask & EFLAGS_STATUS) === 0) {
    const rest = word(state, EFLAGS) & ~EFLAGS_STATUS;
    setWord(state, EFLAGS, (rest & ~mask) | (value & mask) | ALWAYS_ONE);
    return;
  }
  // What is replaced as a whole need not be worked out.
  const known = (mask & EFLAGS_STATUS) === EFLAGS_STATUS;
  const old = known ? word(state, EFLAGS) & ~EFLAGS_STATUS : readFlags(state);
  const all = (old & ~mask) | (value & mask) | ALWAYS_ONE;
  setWord(state, EFLAGS, all & ~EFLAGS_STATUS);
  setWord(state, OP, FL_FULL * 4);
  setWord(state, AUX, all & EFLAGS_STATUS);
}

/** Signed: of a number beyond 2^31 that a call passes, V8 makes an object. */
function word({ views, base }: State, at: number): number {
  return views.i32[(base >> 2) + at]!;
}

function setWord({ views, base }: State, at: number, value: number): void {
  views.i32[(base >> 2) + at] = value;
}

/** CF PF AF ZF SF OF at their EFLAGS places. See `FlagFn` in isa/ir.ts for what each kind means. */
export function statusFlags(state: State): number {
  const op = word(state, OP);
  const kind = op >> 2;
  if (kind === FL_FULL) return word(state, AUX) & EFLAGS_STATUS;
  const low = word(state, RES);
  const parity = evenParity(low & 0xff) ? EFLAGS_PF : 0;
  if ((op & 3) === WIDE) return parity | wideFlags(state, kind, low, word(state, RES + 1));
  // Brought to the top, so that bit 31 is the sign.
  const shift = 32 - (8 << (op & 3));
  const res = low << shift;
  const common = parity | (res < 0 ? EFLAGS_SF : 0) | (res === 0 ? EFLAGS_ZF : 0);
  if (kind === FL_LOGIC) return common;
  if (kind === FL_MIX) return common | (word(state, AUX) & MIXED);
  const lowX = word(state, X);
  const x = lowX << shift;
  const carried = kind === FL_ADC || kind === FL_SBB ? 1 : 0;
  const adds = kind === FL_ADD || kind === FL_ADC;
  if (!adds && kind !== FL_SUB && kind !== FL_SBB) return common;
  // y = res - x for additions, x - res for subtractions, one less with a carry.
  const y = ((adds ? res - x : x - res) - (carried << shift)) | 0;
  const order = adds ? compare(res, x) : compare(x, y);
  const differ = adds ? (res ^ x) & (res ^ y) : (x ^ y) & (x ^ res);
  return common | carryFlags(adds, carried, low, lowX, order, differ);
}

/** The same of a 64-bit result, by halves. */
function wideFlags(state: State, kind: number, low: number, high: number): number {
  const common = (high >>> 31 ? EFLAGS_SF : 0) | ((low | high) === 0 ? EFLAGS_ZF : 0);
  if (kind === FL_LOGIC) return common;
  if (kind === FL_MIX) return common | (word(state, AUX) & MIXED);
  const lowX = word(state, X);
  const highX = word(state, X + 1);
  const carried = kind === FL_ADC || kind === FL_SBB ? 1 : 0;
  const adds = kind === FL_ADD || kind === FL_ADC;
  if (!adds && kind !== FL_SUB && kind !== FL_SBB) return common;
  // y = res - x for additions, x - res for subtractions, one less with a carry.
  const from = adds ? low : lowX;
  const by = adds ? lowX : low;
  const yLow = (from - by - carried) | 0;
  const borrow = from >>> 0 < by >>> 0 || (from === by && carried === 1) ? 1 : 0;
  const yHigh = ((adds ? high - highX : highX - high) - borrow) | 0;
  const order = adds ? compareWide(low, high, lowX, highX) : compareWide(lowX, highX, yLow, yHigh);
  const differ = adds ? (high ^ highX) & (high ^ yHigh) : (highX ^ yHigh) & (highX ^ high);
  return common | carryFlags(adds, carried, low, lowX, order, differ);
}

/** `order`: below zero if a carry or borrow left the top; `differ`: its sign is that of an overflow. Low bits matter for AF. */
function carryFlags(
  adds: boolean,
  carried: number,
  low: number,
  lowX: number,
  order: number,
  differ: number,
): number {
  const lowY = ((adds ? low - lowX : lowX - low) - carried) | 0;
  const cf = order < 0 || (order === 0 && carried === 1);
  return (cf ? EFLAGS_CF : 0) | ((low ^ lowX ^ lowY) & EFLAGS_AF) | (differ < 0 ? EFLAGS_OF : 0);
}

/** Of unsigned values in signed words: -1, 0 or 1, as `a` is less than `b`, the same or greater. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a >>> 0 < b >>> 0 ? -1 : 1;
}

const compareWide = (low: number, high: number, lowX: number, highX: number): number =>
  high === highX ? compare(low, lowX) : compare(high, highX);

function evenParity(byte: number): boolean {
  const nibble = byte ^ (byte >> 4);
  return ((0x6996 >> (nibble & 15)) & 1) === 0;
}
