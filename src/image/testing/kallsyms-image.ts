// Writes the kallsyms part of an image as scripts/kallsyms.c of different versions of Linux lays it out, for tests.

import type { KernelSymbol } from '../kallsyms.ts';

export interface KallsymsLayout {
  readonly bits: 32 | 64;
  /** `words`: up to 4.5. `offsets`: before the names. `behind`: from 6.4 on. */
  readonly addresses: 'words' | 'offsets' | 'behind';
  readonly markerBytes: 4 | 8;
  /** Sequence numbers between markers and tokens (6.2). */
  readonly sequences?: boolean;
}

const FILLER = 0xf4;

/** Other bytes before and behind; `symbols` by address. Pairs of letters are tokens, so that names are compressed. */
export function kallsymsImage(
  symbols: readonly KernelSymbol[],
  layout: KallsymsLayout,
): Uint8Array {
  const word = layout.bits / 8;
  const out: number[] = new Array<number>(1000).fill(FILLER);
  const align = () => {
    while (out.length % word !== 0) out.push(0);
  };
  const number = (value: number, bytes: number) => {
    for (let n = 0; n < bytes; n++) out.push(Number((BigInt(value) >> BigInt(8 * n)) & 0xffn));
  };
  const base = symbols.find(({ address }) => address < 0 || address >= 0x80000000)!.address;
  const offsets = () => {
    align();
    for (const { address } of symbols) {
      if (layout.bits === 32) number(address - base, 4);
      else number(address < 0 ? base - 1 - address : address, 4);
    }
    align();
    number(base, word);
  };
  align();
  if (layout.addresses === 'words') for (const { address } of symbols) number(address, word);
  if (layout.addresses === 'offsets') offsets();
  number(symbols.length, 4);
  align();
  const { names, markers, tokens } = compress(symbols);
  out.push(...names);
  align();
  for (const marker of markers) number(marker, layout.markerBytes);
  align();
  if (layout.sequences) for (const [n] of symbols.entries()) number(n, 3);
  align();
  const starts: number[] = [];
  const tableAt = out.length;
  for (const token of tokens) {
    starts.push(out.length - tableAt);
    out.push(...Array.from(token, (letter) => letter.charCodeAt(0)), 0);
  }
  align();
  for (const start of starts) number(start, 2);
  if (layout.addresses === 'behind') offsets();
  out.push(...new Array<number>(1000).fill(FILLER));
  return Uint8Array.from(out);
}

/** Letters stand for themselves; unused codes below 48 stand for pairs, the rest for nothing. */
function compress(symbols: readonly KernelSymbol[]) {
  const texts = symbols.map(({ type, name }) => type + name);
  const letters = new Set([...texts.join(''), ...'0123456789']);
  const pairs = ['sy', 's_', '__', 'xe', 'n_', 'fu', 'nc'];
  const tokens = Array.from({ length: 256 }, (_, code) => {
    const letter = String.fromCharCode(code);
    return letters.has(letter) ? letter : code > 0 && code <= pairs.length ? pairs[code - 1]! : '';
  });
  const names: number[] = [];
  const markers: number[] = [];
  for (const [n, text] of texts.entries()) {
    if (n % 256 === 0) markers.push(names.length);
    const codes: number[] = [];
    for (let at = 0; at < text.length; ) {
      const pair = pairs.indexOf(text.slice(at, at + 2));
      codes.push(pair >= 0 ? pair + 1 : text.charCodeAt(at));
      at += pair >= 0 ? 2 : 1;
    }
    if (codes.length < 128) names.push(codes.length);
    else names.push((codes.length & 0x7f) | 0x80, codes.length >> 7);
    names.push(...codes);
  }
  return { names, markers, tokens };
}
