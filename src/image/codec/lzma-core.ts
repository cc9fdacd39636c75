// The LZMA decoder proper, shared by lzma and xz: range decoder, probability model, dictionary.
import { corrupt } from './corrupt.ts';

// Names and layout after "LZMA specification" (Igor Pavlov, 2015), which the .lzma and .xz formats refer to.
const PROB_INIT = 1024;
const STATES = 12;
const POS_STATES = 16;
const MATCH_MIN = 2;

// One table of probabilities; each part is addressed by its base.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POS_STATES;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const POS_SLOT = IS_REP0_LONG + STATES * POS_STATES;
const POS_SPECIAL = POS_SLOT + 4 * 64;
const ALIGN = POS_SPECIAL + 128;
const LEN = ALIGN + 16;
// Within a length decoder: two choices, low and mid trees per position state, one high tree.
const LEN_LOW = 2;
const LEN_MID = LEN_LOW + POS_STATES * 8;
const LEN_HIGH = LEN_MID + POS_STATES * 8;
const LEN_PROBS = LEN_HIGH + 256;
const REP_LEN = LEN + LEN_PROBS;
const LITERAL = REP_LEN + LEN_PROBS;
const LITERAL_PROBS = 0x300;

const RANGE = 0;
const CODE = 1;

/** The distance that ends a stream whose size is not known. */
const END_MARK = 0xffffffff;

export interface LzmaDecoder {
  readonly format: string;
  readonly input: Uint8Array;
  /** Next byte of input, and the first that is out of bounds. */
  pos: number;
  end: number;
  out: Uint8Array;
  outPos: number;
  /** Where the dictionary begins in `out`: distances do not reach below it. */
  dictStart: number;
  /** Range and code, as unsigned 32-bit numbers. */
  readonly rc: Uint32Array;
  probs: Uint16Array;
  lc: number;
  lp: number;
  pb: number;
  state: number;
  readonly reps: Uint32Array;
}

export function lzmaDecoder(format: string, input: Uint8Array): LzmaDecoder {
  return {
    format,
    input,
    pos: 0,
    end: input.length,
    out: new Uint8Array(0),
    outPos: 0,
    dictStart: 0,
    rc: new Uint32Array(2),
    probs: new Uint16Array(0),
    lc: 0,
    lp: 0,
    pb: 0,
    state: 0,
    reps: new Uint32Array(4),
  };
}

/** Sets lc, lp and pb from their byte, as in both formats; false if it is out of range. */
export function setProperties(d: LzmaDecoder, byte: number): boolean {
  if (byte >= 9 * 5 * 5) return false;
  d.lc = byte % 9;
  d.lp = Math.floor(byte / 9) % 5;
  d.pb = Math.floor(byte / 45);
  return true;
}

export function resetState(d: LzmaDecoder): void {
  const size = LITERAL + (LITERAL_PROBS << (d.lc + d.lp));
  if (d.probs.length !== size) d.probs = new Uint16Array(size);
  d.probs.fill(PROB_INIT);
  d.state = 0;
  d.reps.fill(0);
}

/** Reads the five bytes with which a range coder begins. */
export function startRangeDecoder(d: LzmaDecoder): void {
  const { input, pos } = d;
  if (pos + 5 > d.end) throw corrupt(d.format, 'it ends too early');
  if (input[pos] !== 0) throw corrupt(d.format, 'its range coder does not begin with zero');
  d.rc[RANGE] = 0xffffffff;
  d.rc[CODE] =
    (input[pos + 1]! << 24) | (input[pos + 2]! << 16) | (input[pos + 3]! << 8) | input[pos + 4]!;
  d.pos = pos + 5;
}

/**
 * Decodes until `out` holds at least `until` bytes (true) or the end mark is read (false). A match that reaches beyond
 * `hard` is refused; `out` must have room for that many.
 */
export function decodeUntil(d: LzmaDecoder, until: number, hard: number): boolean {
  const { rc, probs, reps } = d;
  const posMask = (1 << d.pb) - 1;
  while (d.outPos < until) {
    if (d.pos > d.end) throw corrupt(d.format, 'it ends too early');
    const state = d.state;
    const posState = (d.outPos - d.dictStart) & posMask;
    if (bit(d, rc, probs, IS_MATCH + (state << 4) + posState) === 0) {
      if (d.outPos >= hard) throw corrupt(d.format, 'it holds more than it says');
      literal(d, rc, probs);
      continue;
    }
    let length: number;
    if (bit(d, rc, probs, IS_REP + state) === 0) {
      reps[3] = reps[2]!;
      reps[2] = reps[1]!;
      reps[1] = reps[0]!;
      length = lengthOf(d, rc, probs, LEN, posState);
      d.state = state < 7 ? 7 : 10;
      reps[0] = distanceOf(d, rc, probs, length);
      if (reps[0] === END_MARK) return false;
    } else if (repeatsOneByte(d, rc, probs, state, posState)) {
      d.state = state < 7 ? 9 : 11;
      length = 1;
    } else {
      length = lengthOf(d, rc, probs, REP_LEN, posState);
      d.state = state < 7 ? 8 : 11;
    }
    if (length > hard - d.outPos) throw corrupt(d.format, 'it holds more than it says');
    copyMatch(d, reps[0]!, length);
  }
  if (d.pos > d.end) throw corrupt(d.format, 'it ends too early');
  return true;
}

/** Whether the range coder has come to the end of what was encoded. */
export function finishedCleanly(d: LzmaDecoder): boolean {
  return d.rc[CODE] === 0;
}

/** Moves the repeated distance to the front; true for the form that repeats a single byte and has no length. */
function repeatsOneByte(
  d: LzmaDecoder,
  rc: Uint32Array,
  probs: Uint16Array,
  state: number,
  posState: number,
): boolean {
  if (bit(d, rc, probs, IS_REP_G0 + state) === 0) {
    return bit(d, rc, probs, IS_REP0_LONG + (state << 4) + posState) === 0;
  }
  const { reps } = d;
  let distance = reps[1]!;
  if (bit(d, rc, probs, IS_REP_G1 + state) !== 0) {
    distance = reps[2]!;
    if (bit(d, rc, probs, IS_REP_G2 + state) !== 0) {
      distance = reps[3]!;
      reps[3] = reps[2]!;
    }
    reps[2] = reps[1]!;
  }
  reps[1] = reps[0]!;
  reps[0] = distance;
  return false;
}

function bit(d: LzmaDecoder, rc: Uint32Array, probs: Uint16Array, index: number): number {
  let range = rc[RANGE]!;
  let code = rc[CODE]!;
  const prob = probs[index]!;
  const bound = Math.imul(range >>> 11, prob) >>> 0;
  let result: number;
  if (code < bound) {
    range = bound;
    probs[index] = prob + ((2048 - prob) >>> 5);
    result = 0;
  } else {
    range = (range - bound) >>> 0;
    code = (code - bound) >>> 0;
    probs[index] = prob - (prob >>> 5);
    result = 1;
  }
  if (range < 0x1000000) {
    range = (range << 8) >>> 0;
    code = ((code << 8) | d.input[d.pos++]!) >>> 0;
  }
  rc[RANGE] = range;
  rc[CODE] = code;
  return result;
}

/** `bits` bits, the highest first, as 1 << bits plus their value: each prefix has a probability of its own. */
function bitTree(
  d: LzmaDecoder,
  rc: Uint32Array,
  probs: Uint16Array,
  base: number,
  bits: number,
): number {
  const { input } = d;
  let range = rc[RANGE]!;
  let code = rc[CODE]!;
  let pos = d.pos;
  let symbol = 1;
  const stop = 1 << bits;
  while (symbol < stop) {
    const prob = probs[base + symbol]!;
    const bound = Math.imul(range >>> 11, prob) >>> 0;
    if (code < bound) {
      range = bound;
      probs[base + symbol] = prob + ((2048 - prob) >>> 5);
      symbol <<= 1;
    } else {
      range = (range - bound) >>> 0;
      code = (code - bound) >>> 0;
      probs[base + symbol] = prob - (prob >>> 5);
      symbol = (symbol << 1) | 1;
    }
    if (range < 0x1000000) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | input[pos++]!) >>> 0;
    }
  }
  d.pos = pos;
  rc[RANGE] = range;
  rc[CODE] = code;
  return symbol;
}

/** `bits` bits, the lowest first. */
function reverseBits(
  d: LzmaDecoder,
  rc: Uint32Array,
  probs: Uint16Array,
  base: number,
  bits: number,
): number {
  let symbol = 1;
  let value = 0;
  for (let n = 0; n < bits; n++) {
    const one = bit(d, rc, probs, base + symbol);
    symbol = (symbol << 1) | one;
    value |= one << n;
  }
  return value;
}

function directBits(d: LzmaDecoder, rc: Uint32Array, bits: number): number {
  let range = rc[RANGE]!;
  let code = rc[CODE]!;
  let value = 0;
  for (let n = 0; n < bits; n++) {
    range >>>= 1;
    const one = code >= range ? 1 : 0;
    if (one) code = (code - range) >>> 0;
    value = (value << 1) | one;
    if (range < 0x1000000) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | d.input[d.pos++]!) >>> 0;
    }
  }
  rc[RANGE] = range;
  rc[CODE] = code;
  return value;
}

function literal(d: LzmaDecoder, rc: Uint32Array, probs: Uint16Array): void {
  const { input, out, outPos, state, lc } = d;
  const at = outPos - d.dictStart;
  const previous = at > 0 ? out[outPos - 1]! : 0;
  const context = ((at & ((1 << d.lp) - 1)) << lc) + (previous >>> (8 - lc));
  const base = LITERAL + LITERAL_PROBS * context;
  let range = rc[RANGE]!;
  let code = rc[CODE]!;
  let pos = d.pos;
  let symbol = 1;
  // After a match the byte that the match would have gone on with chooses among three trees, until it is wrong once.
  let expected = 0;
  let offset = 0;
  if (state >= 7) {
    const distance = d.reps[0]!;
    if (distance >= at) throw corrupt(d.format, 'a distance reaches before its beginning');
    expected = out[outPos - distance - 1]!;
    offset = 0x100;
  }
  while (symbol < 0x100) {
    expected <<= 1;
    const chosen = expected & offset;
    const index = base + offset + chosen + symbol;
    const prob = probs[index]!;
    const bound = Math.imul(range >>> 11, prob) >>> 0;
    if (code < bound) {
      range = bound;
      probs[index] = prob + ((2048 - prob) >>> 5);
      symbol <<= 1;
      offset ^= chosen;
    } else {
      range = (range - bound) >>> 0;
      code = (code - bound) >>> 0;
      probs[index] = prob - (prob >>> 5);
      symbol = (symbol << 1) | 1;
      offset = chosen;
    }
    if (range < 0x1000000) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | input[pos++]!) >>> 0;
    }
  }
  d.pos = pos;
  rc[RANGE] = range;
  rc[CODE] = code;
  out[outPos] = symbol;
  d.outPos = outPos + 1;
  d.state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
}

function lengthOf(
  d: LzmaDecoder,
  rc: Uint32Array,
  probs: Uint16Array,
  base: number,
  posState: number,
): number {
  if (bit(d, rc, probs, base) === 0) {
    return MATCH_MIN - 8 + bitTree(d, rc, probs, base + LEN_LOW + (posState << 3), 3);
  }
  if (bit(d, rc, probs, base + 1) === 0) {
    return MATCH_MIN + bitTree(d, rc, probs, base + LEN_MID + (posState << 3), 3);
  }
  return MATCH_MIN + 16 - 256 + bitTree(d, rc, probs, base + LEN_HIGH, 8);
}

/** The distance less one. */
function distanceOf(d: LzmaDecoder, rc: Uint32Array, probs: Uint16Array, length: number): number {
  const lengthState = Math.min(length - MATCH_MIN, 3);
  const slot = bitTree(d, rc, probs, POS_SLOT + (lengthState << 6), 6) - 64;
  if (slot < 4) return slot;
  const bits = (slot >>> 1) - 1;
  const high = (2 | (slot & 1)) << bits;
  // The base lets the tree's root, index 1, fall on the place after the trees of the slots below.
  if (slot < 14) return high + reverseBits(d, rc, probs, POS_SPECIAL + high - slot, bits);
  const middle = directBits(d, rc, bits - 4) << 4;
  return (high + middle + reverseBits(d, rc, probs, ALIGN, 4)) >>> 0;
}

function copyMatch(d: LzmaDecoder, distance: number, length: number): void {
  const { out, outPos } = d;
  if (distance >= outPos - d.dictStart) {
    throw corrupt(d.format, 'a distance reaches before its beginning');
  }
  let from = outPos - distance - 1;
  const end = outPos + length;
  for (let to = outPos; to < end; to++, from++) out[to] = out[from]!;
  d.outPos = end;
}
