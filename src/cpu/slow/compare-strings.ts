// The comparison behind PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM. SDM 2B 4.1.

import { ARG_AT, RET_AT, type State } from '../state.ts';
import { defineSlow } from './define.ts';

const CF = 1;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

/** What the immediate says. SDM 2B 4.1.1 to 4.1.6. */
interface Control {
  readonly words: boolean;
  readonly signed: boolean;
  readonly aggregation: number;
  readonly polarity: number;
  /** Index: of the highest set bit; mask: a whole element each. */
  readonly high: boolean;
}

function controlOf(imm: number): Control {
  return {
    words: (imm & 1) !== 0,
    signed: (imm & 2) !== 0,
    aggregation: (imm >> 2) & 3,
    polarity: (imm >> 4) & 3,
    high: (imm & 0x40) !== 0,
  };
}

function elements(state: State, n: number, c: Control): number[] {
  const at = state.base + ARG_AT + n * 16;
  const { u8, u16 } = state.views;
  const out: number[] = [];
  for (let i = 0; i < (c.words ? 8 : 16); i++) {
    const raw = (c.words ? u16[(at >> 1) + i] : u8[at + i]) as number;
    const shift = c.words ? 16 : 24;
    out.push(c.signed ? (raw << shift) >> shift : raw);
  }
  return out;
}

function implicitLength(list: readonly number[]): number {
  const end = list.indexOf(0);
  return end < 0 ? list.length : end;
}

/** The absolute value of a register, at most the number of elements. */
function explicitLength(state: State, n: number, most: number): number {
  const v = BigInt.asIntN(64, state.arg64(n));
  const length = v < 0n ? -v : v;
  return length > BigInt(most) ? most : Number(length);
}

interface Strings {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly lengthA: number;
  readonly lengthB: number;
}

/** Bit `j` of the intermediate result. `a` is the first operand (the set, the ranges, the needle). SDM 2B table 4-7. */
function intermediateBit(s: Strings, aggregation: number, j: number): boolean {
  switch (aggregation) {
    case 0:
      return j < s.lengthB && s.a.some((v, i) => i < s.lengthA && v === s.b[j]);
    case 1:
      return j < s.lengthB && inRanges(s, s.b[j] as number);
    case 2:
      if (j >= s.lengthA || j >= s.lengthB) return j >= s.lengthA && j >= s.lengthB;
      return s.a[j] === s.b[j];
    default:
      return needleAt(s, j);
  }
}

function inRanges({ a, lengthA }: Strings, v: number): boolean {
  for (let i = 0; i + 1 < lengthA; i += 2)
    if ((a[i] as number) <= v && v <= (a[i + 1] as number)) return true;
  return false;
}

/** Past the end of the register a needle still matches so far; past the end of a shorter string it does not. */
function needleAt({ a, b, lengthA, lengthB }: Strings, j: number): boolean {
  for (let i = 0; i < lengthA && i + j < b.length; i++)
    if (i + j >= lengthB || a[i] !== b[i + j]) return false;
  return true;
}

function intermediate(s: Strings, c: Control): number {
  let bits = 0;
  for (let j = 0; j < s.a.length; j++) if (intermediateBit(s, c.aggregation, j)) bits |= 1 << j;
  const all = (1 << s.a.length) - 1;
  if (c.polarity === 1) return bits ^ all;
  if (c.polarity === 3) return bits ^ ((1 << s.lengthB) - 1);
  return bits;
}

/**
 * Arguments: the two operands, the immediate, 1 if lengths are explicit, the lengths.
 * Results: index, mask, flags at their EFLAGS places.
 */
export const compareStrings = defineSlow({
  name: 'compare-strings',
  ref: 'SDM 2B 4.1',
  run(cx) {
    const { state } = cx;
    const c = controlOf(state.arg32(2));
    const a = elements(state, 0, c);
    const b = elements(state, 1, c);
    const explicit = state.arg32(3) === 1;
    const lengthA = explicit ? explicitLength(state, 4, a.length) : implicitLength(a);
    const lengthB = explicit ? explicitLength(state, 5, b.length) : implicitLength(b);
    const bits = intermediate({ a, b, lengthA, lengthB }, c);
    state.ret32(0, indexOf(bits, a.length, c.high));
    putMask(state, bits, a.length, c.high);
    const flags =
      (bits !== 0 ? CF : 0) |
      (lengthB < b.length ? ZF : 0) |
      (lengthA < a.length ? SF : 0) |
      (bits & 1 ? OF : 0);
    state.ret32(2, flags);
    return 0;
  },
});

function indexOf(bits: number, count: number, high: boolean): number {
  if (bits === 0) return count;
  return 31 - Math.clz32(high ? bits : bits & -bits);
}

function putMask(state: State, bits: number, count: number, whole: boolean): void {
  const at = state.base + RET_AT + 16;
  const size = 16 / count;
  for (let i = 0; i < 16; i++) {
    const bit = (bits >> Math.floor(i / size)) & 1;
    state.views.u8[at + i] = whole ? -bit & 0xff : i < 2 ? (bits >> (8 * i)) & 0xff : 0;
  }
}
