// LZO1X: one block of the byte-oriented format that lzop and the kernel's LZO payloads use.
import { corrupt } from './corrupt.ts';

/** Decodes one block into `out` and returns its length. Ref: Linux Documentation/staging/lzo.rst, bitstream version 0. */
export function lzo1x(input: Uint8Array, out: Uint8Array): number {
  const inputEnd = input.length;
  let at = 0;
  let to = 0;
  // How many literals the last instruction copied: 0 to 3 from its low bits, or 4 for a run of four or more.
  let state = 0;
  const first = input[0] ?? 0;
  if (first > 17) {
    const literals = first - 17;
    copyLiterals(input, 1, out, 0, literals);
    at = 1 + literals;
    to = literals;
    state = Math.min(literals, 4);
  }
  while (at < inputEnd) {
    const code = input[at++]!;
    let length: number;
    let distance: number;
    let literals: number;
    if (code < 16 && state === 0) {
      length = code + 3;
      if (code === 0) {
        const zeros = countZeros(input, at);
        at += zeros + 1;
        length = 18 + zeros * 255 + (input[at - 1] ?? 0);
      }
      copyLiterals(input, at, out, to, length);
      at += length;
      to += length;
      state = 4;
      continue;
    }
    if (code < 16) {
      length = state === 4 ? 3 : 2;
      distance = (code >> 2) + ((input[at++] ?? 0) << 2) + (state === 4 ? 2049 : 1);
      literals = code & 3;
    } else if (code < 64) {
      const lengthMask = code < 32 ? 7 : 31;
      length = (code & lengthMask) + 2;
      if ((code & lengthMask) === 0) {
        const zeros = countZeros(input, at);
        at += zeros + 1;
        length = lengthMask + 2 + zeros * 255 + (input[at - 1] ?? 0);
      }
      const low = input[at] ?? 0;
      distance = (low >> 2) + ((input[at + 1] ?? 0) << 6) + 1;
      at += 2;
      literals = low & 3;
      if (code < 32) {
        distance += 16383 + ((code & 8) << 11);
        if (distance === 16384) return endOf(input, at, length, to);
      }
    } else {
      length = code < 128 ? 3 + ((code >> 5) & 1) : 5 + ((code >> 5) & 3);
      distance = ((code >> 2) & 7) + ((input[at++] ?? 0) << 3) + 1;
      literals = code & 3;
    }
    const from = to - distance;
    if (from < 0) throw corrupt('lzo', 'a match reaches before its block');
    if (to + length > out.length) throw corrupt('lzo', 'a block is longer than it says');
    for (let n = 0; n < length; n++) out[to + n] = out[from + n]!;
    to += length;
    copyLiterals(input, at, out, to, literals);
    at += literals;
    to += literals;
    state = literals;
  }
  throw corrupt('lzo', 'a block ends without its end mark');
}

function copyLiterals(
  input: Uint8Array,
  at: number,
  out: Uint8Array,
  to: number,
  count: number,
): void {
  if (at + count > input.length) throw corrupt('lzo', 'a literal run is cut off');
  if (to + count > out.length) throw corrupt('lzo', 'a block is longer than it says');
  if (count > 32) out.set(input.subarray(at, at + count), to);
  else for (let n = 0; n < count; n++) out[to + n] = input[at + n]!;
}

function countZeros(input: Uint8Array, at: number): number {
  let zeros = 0;
  while (input[at + zeros] === 0) zeros++;
  return zeros;
}

/** The end mark is a match of length 3 at distance 16384 and the last thing in the block. */
function endOf(input: Uint8Array, at: number, length: number, to: number): number {
  if (length !== 3 || at !== input.length) throw corrupt('lzo', 'its end mark is misplaced');
  return to;
}
