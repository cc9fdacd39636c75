// The kernel's own symbol table, kallsyms, found in an image by its structure: no version, no section name, no symbol is needed.

import { findBytes } from './bytes.ts';

/** A symbol as `nm` shows it. Addresses of 64-bit kernels are signed numbers, as the MMU takes them. */
export interface KernelSymbol {
  readonly address: number;
  readonly type: string;
  readonly name: string;
}

/*
 * scripts/kallsyms.c writes, each part aligned to the word:
 *   addresses  a word for each symbol (up to 4.5), or offsets of 32 bits and then the word that they are relative to
 *   num_syms, names  the count; for each symbol its length in tokens, and the tokens
 *   markers    offsets into names of every 256th symbol: words, from 4.20 on 32 bits
 *   (6.2: sequence numbers of 3 bytes)
 *   token_table, token_index  256 strings, and where each begins (16 bits)
 *   (from 6.4: the offsets and their base come here)
 */
const TOKENS = 256;
const GROUP = 256;
/** Tokens of a name: one byte, or two if the first has its high bit (6.1). */
const LONG_NAME = 0x80;
const NAME_TOKENS_MAX = 512;
const SYMBOLS_MAX = 2_000_000;
/** How far before the tokens markers may begin, and how far before them names. */
const MARKERS_REACH = 8 << 20;
const NAMES_REACH = 32 << 20;
const FOUR_GIB = 0x1_0000_0000;

interface Tokens {
  readonly at: number;
  readonly indexAt: number;
  readonly texts: readonly string[];
}

interface Names {
  readonly at: number;
  readonly count: number;
  readonly countAt: number;
}

/** All symbols in the order of the table, which is that of addresses; null if the image has none. */
export function kallsymsOf(bytes: Uint8Array, bits: 32 | 64): KernelSymbol[] | null {
  const word = bits / 8;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const tokens of tokenTables(bytes, view, word)) {
    const names = namesBefore(bytes, view, tokens.at, word);
    const addresses = names && addressesOf(view, names, tokens, word);
    if (names && addresses) return symbols(bytes, names, tokens.texts, addresses);
  }
  return null;
}

/** Characters that occur in names stand for themselves, digits among them: that is where to look. */
function* tokenTables(bytes: Uint8Array, view: DataView, word: number): Generator<Tokens> {
  const zero = '0'.charCodeAt(0);
  const digits = Uint8Array.from({ length: 20 }, (_, n) => (n & 1 ? 0 : zero + (n >> 1)));
  for (let at = findBytes(bytes, digits); at >= 0; at = findBytes(bytes, digits, at + 1)) {
    let end = at;
    for (let n = zero; n < TOKENS && end > 0; n++) end = bytes.indexOf(0, end) + 1;
    const indexAt = aligned(end, word);
    if (end <= 0 || indexAt + 2 * TOKENS > bytes.length) continue;
    const start = at - view.getUint16(indexAt + 2 * zero, true);
    const texts = start < 0 ? null : tokenTexts(bytes, view, start, indexAt);
    if (texts) yield { at: start, indexAt, texts };
  }
}

/** Null: index and strings do not fit each other. */
function tokenTexts(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  indexAt: number,
): string[] | null {
  const texts: string[] = [];
  let at = start;
  for (let n = 0; n < TOKENS; n++) {
    if (view.getUint16(indexAt + 2 * n, true) !== at - start) return null;
    const end = bytes.indexOf(0, at);
    if (end < 0 || end >= indexAt) return null;
    texts.push(String.fromCharCode(...bytes.subarray(at, end)));
    at = end + 1;
  }
  return texts;
}

/** Markers begin with 0 and rise; the names that they point into lie before them, and their count before those. */
function namesBefore(
  bytes: Uint8Array,
  view: DataView,
  tokensAt: number,
  word: number,
): Names | null {
  const first = Math.max(tokensAt - MARKERS_REACH, 0);
  for (let at = tokensAt - (tokensAt % word) - word; at >= first; at -= word) {
    if (view.getUint32(at, true) !== 0) continue;
    for (const size of word === 4 ? [4] : [4, 8]) {
      const end = tokensAt - size;
      const second = at + size <= end ? view.getUint32(at + size, true) : 0;
      if (second < 2 * GROUP || second > NAME_TOKENS_MAX * GROUP) continue;
      const names = namesOf(bytes, view, { at, size, end, second }, word);
      if (names) return names;
    }
  }
  return null;
}

interface Markers {
  readonly at: number;
  readonly size: number;
  readonly end: number;
  readonly second: number;
}

function namesOf(bytes: Uint8Array, view: DataView, markers: Markers, word: number): Names | null {
  const first = Math.max(markers.at - NAMES_REACH, word);
  for (let at = markers.at - word; at >= first; at -= word) {
    const count = view.getUint32(at - word, true);
    if (count <= GROUP || count > SYMBOLS_MAX) continue;
    const groups = Math.ceil(count / GROUP);
    const lastAt = markers.at + (groups - 1) * markers.size;
    if (lastAt > markers.end) continue;
    if (skip(bytes, at, GROUP, markers.at) !== at + markers.second) continue;
    const last = at + view.getUint32(lastAt, true);
    const rest = count - (groups - 1) * GROUP;
    if (last >= markers.at || aligned(skip(bytes, last, rest, markers.at), word) !== markers.at)
      continue;
    return { at, count, countAt: at - word };
  }
  return null;
}

/** Behind so many names; -1 if they run beyond `limit`. */
function skip(bytes: Uint8Array, from: number, names: number, limit: number): number {
  let at = from;
  for (let n = 0; n < names; n++) {
    if (at >= limit) return -1;
    at += nameHead(bytes, at) + nameTokens(bytes, at);
  }
  return at > limit ? -1 : at;
}

const nameHead = (bytes: Uint8Array, at: number): number => (bytes[at]! & LONG_NAME ? 2 : 1);
const nameTokens = (bytes: Uint8Array, at: number): number =>
  bytes[at]! & LONG_NAME ? (bytes[at]! & 0x7f) | (bytes[at + 1]! << 7) : bytes[at]!;

/** Three places are possible; addresses rise, and whatever does not is something else. */
function addressesOf(
  view: DataView,
  { count, countAt }: Names,
  tokens: Tokens,
  word: number,
): Float64Array | null {
  const offsetBytes = aligned(4 * count, word);
  const behind = aligned(tokens.indexAt + 2 * TOKENS, word);
  return (
    relative(view, countAt - word - offsetBytes, countAt - word, count, word) ??
    relative(view, behind, behind + offsetBytes, count, word) ??
    absolute(view, countAt - count * word, count, word)
  );
}

function absolute(view: DataView, at: number, count: number, word: number): Float64Array | null {
  if (at < 0) return null;
  return risingFrom(count, (n) => wordAt(view, at + n * word, word));
}

/**
 * Offsets below zero count down from the base, less one, and others are addresses of their own: per-CPU data
 * (CONFIG_KALLSYMS_ABSOLUTE_PERCPU). Without any below zero, all are relative.
 */
function relative(
  view: DataView,
  at: number,
  baseAt: number,
  count: number,
  word: number,
): Float64Array | null {
  if (at < 0 || baseAt + word > view.byteLength) return null;
  const base = wordAt(view, baseAt, word);
  if (word === 8 ? base >= 0 : base < 0x40000000) return null; // A kernel lies in the upper part.
  const offset = (n: number) => view.getInt32(at + 4 * n, true);
  let mixed = false;
  for (let n = 0; n < count && !mixed; n++) mixed = offset(n) < 0;
  return risingFrom(count, (n) => {
    const value = offset(n);
    if (!mixed) return base + value;
    return value < 0 ? base - 1 - value : value;
  });
}

/** Signed addresses rise as unsigned ones: those of user space first. */
function risingFrom(count: number, address: (n: number) => number): Float64Array | null {
  const all = new Float64Array(count);
  let before = 0;
  for (let n = 0; n < count; n++) {
    const next = address(n);
    if (before < 0 !== next < 0 ? next >= 0 : next < before) return null;
    all[n] = next;
    before = next;
  }
  return before === 0 ? null : all;
}

function wordAt(view: DataView, at: number, word: number): number {
  if (word === 4) return view.getUint32(at, true);
  return view.getInt32(at + 4, true) * FOUR_GIB + view.getUint32(at, true);
}

function symbols(
  bytes: Uint8Array,
  { at: first, count }: Names,
  texts: readonly string[],
  addresses: Float64Array,
): KernelSymbol[] {
  let at = first;
  return Array.from({ length: count }, (_, n) => {
    const start = at + nameHead(bytes, at);
    const end = start + nameTokens(bytes, at);
    let text = '';
    for (let place = start; place < end; place++) text += texts[bytes[place]!]!;
    at = end;
    return { address: addresses[n]!, type: text.charAt(0), name: text.slice(1) };
  });
}

const aligned = (at: number, to: number): number => Math.ceil(at / to) * to;
