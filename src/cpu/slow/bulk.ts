// Repeated string instructions, many iterations at once: RAM to RAM within one page on each side.

import {
  DATA_TLB_STRIDE,
  dataTlbIndex,
  FIELDS,
  GPR_AT,
  MODE_KEY_FLAT,
  type State,
} from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

const RAX = 0;
const RCX = 1;
const RSI = 6;
const RDI = 7;
const DF = 1 << 10;

const MOVS = 0;
const STOS = 1;

/**
 * Arguments: 0 which instruction (see ir.ts `bulk`), 1 bytes per element, 2 address size, 3 base of the source segment.
 * Does as many whole iterations as lie before the last one, in pages that the TLB already maps, forwards, within the
 * budget: each costs one instruction of it, so that no count or TLB fill differs from doing them one by one. What it
 * cannot do is left to the ordinary iteration that follows.
 */
export const bulk = defineSlow({
  name: 'bulk',
  ref: 'SDM 2B REP',
  run(cx) {
    const { state } = cx;
    const fn = state.arg32(0);
    if (fn !== MOVS && fn !== STOS) return 0;
    if (state.get(FIELDS.eflags) & DF) return 0;
    const bytes = state.arg32(1);
    const narrow = state.arg32(2) !== 64;
    if (state.arg32(2) === 16 || !unchecked(cx, bytes)) return 0;
    const left = narrow ? state.gpr32(RCX) : clampedCount(state);
    const destination = linear(
      state,
      RDI,
      narrow,
      state.get(FIELDS.codeMode) === 64 ? 0 : state.segBase(0),
    );
    let n = Math.min(left - 1, state.get(FIELDS.budget) | 0, room(destination, bytes));
    if (fn === MOVS) n = moves(cx, destination, bytes, n, narrow);
    else n = fills(cx, destination, bytes, n);
    if (n <= 0) return 0;
    state.set(FIELDS.budget, state.get(FIELDS.budget) - n);
    advance(state, RCX, -n, narrow);
    advance(state, RDI, n * bytes, narrow);
    if (fn === MOVS) advance(state, RSI, n * bytes, narrow);
    return 0;
  },
});

/**
 * No segment's limit or rights can stop the accesses: 64-bit code, or 32-bit code with flat segments and no override,
 * which the instruction's length tells.
 */
function unchecked(cx: Cx, bytes: number): boolean {
  const { mode, length } = cx.insn;
  if (mode === 64) return true;
  const flat = (cx.state.get(FIELDS.modeKey) & MODE_KEY_FLAT) !== 0;
  return mode === 32 && flat && length === (bytes === 2 ? 3 : 2);
}

function moves(cx: Cx, destination: number, bytes: number, most: number, narrow: boolean): number {
  const { state } = cx;
  const source = linear(state, RSI, narrow, state.argVa(3));
  const n = Math.min(most, room(source, bytes));
  if (n <= 1) return 0;
  const from = hit(state, source, 0);
  const to = hit(state, destination, 8);
  // A destination shortly ahead of the source repeats a pattern, which one copy would not.
  if (from === 0 || to === 0 || (to > from && to < from + n * bytes)) return 0;
  state.views.u8.copyWithin(to, from, from + n * bytes);
  return n;
}

function fills(cx: Cx, destination: number, bytes: number, n: number): number {
  if (n <= 1) return 0;
  const { state } = cx;
  const to = hit(state, destination, 8);
  if (to === 0) return 0;
  const { u8 } = state.views;
  const value = state.base + GPR_AT + RAX * 8;
  const end = to + n * bytes;
  const byte = u8[value] as number;
  let same = true;
  for (let i = 1; i < bytes; i++) same &&= u8[value + i] === byte;
  if (same) {
    u8.fill(byte, to, end);
    return n;
  }
  u8.copyWithin(to, value, value + bytes);
  for (let done = bytes; done < n * bytes; ) {
    const step = Math.min(done, n * bytes - done);
    u8.copyWithin(to + done, to, to + step);
    done += step;
  }
  return n;
}

/** RCX as a count that is large enough when it is too large. */
function clampedCount(state: State): number {
  const low = state.gpr32(RCX);
  const high = state.views.u32[(state.base + GPR_AT + RCX * 8 + 4) >> 2] as number;
  return high !== 0 || low > 0x7fffffff ? 0x7fffffff : low;
}

function linear(state: State, register: number, narrow: boolean, base: number): number {
  if (!narrow) return state.vaAt(register * 8) + base;
  const sum = state.gpr32(register) + base;
  return state.get(FIELDS.codeMode) === 64 ? sum : sum >>> 0;
}

/** Whole elements from `va` to the end of its page. */
function room(va: number, bytes: number): number {
  return Math.floor((4096 - (va & 4095)) / bytes);
}

/** Address in linear memory, if the tag at `tag` (0 for reading, 8 for writing) maps the page of `va`; 0: not. */
export function hit(state: State, va: number, tag: number): number {
  const { u32, i32 } = state.views;
  const entry = state.get(FIELDS.dataTlb) + dataTlbIndex(va | 0) * DATA_TLB_STRIDE;
  const low = (entry + tag) >> 2;
  if ((u32[low] as number) !== (va & ~0xfff) >>> 0) return 0;
  if ((i32[low + 1] as number) !== Math.floor(va / 4294967296)) return 0;
  return ((va | 0) + (i32[(entry + 16) >> 2] as number)) >>> 0;
}

function advance(state: State, register: number, by: number, narrow: boolean): void {
  if (narrow) {
    state.setGpr32(register, (state.gpr32(register) + by) >>> 0);
    return;
  }
  const { u32 } = state.views;
  const i = (state.base + GPR_AT + register * 8) >> 2;
  const low = (u32[i] as number) + by;
  u32[i] = low;
  if (low < 0 || low >= 4294967296) u32[i + 1] = (u32[i + 1] as number) + (low < 0 ? -1 : 1);
}
