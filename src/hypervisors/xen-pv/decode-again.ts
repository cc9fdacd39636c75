// Decoding of the few instructions that guests have executed for them again and again.

import { decode } from '../../cpu/decode.ts';
import type { Decoded } from '../../cpu/decoded.ts';

export const MAX_BYTES = 15;
/** Room for the code in question; nothing of it outlives a call. */
export const codeWindow = new Uint8Array(MAX_BYTES);

interface Met {
  readonly bytes: Uint8Array;
  readonly d: Decoded;
}
/** What was decoded before, by mode and first byte: kernels that look for devices do the same few things many thousand times. */
const met: readonly Met[][] = Array.from({ length: 3 * 256 }, () => []);
const MOST_ALIKE = 8;

/** Of the `bytes` that begin at `at` in `code`. */
export function decodeAgain(
  code: Uint8Array,
  at: number,
  bytes: number,
  mode: 16 | 32 | 64,
): Decoded | null {
  const alike = met[(mode >> 5) * 256 + code[at]!]!;
  for (let n = 0; n < alike.length; n++) {
    const known = alike[n]!;
    if (beginsWith(code, at, bytes, known.bytes)) return known.d;
  }
  const d = decode(code, at, at + bytes, mode);
  if ('failure' in d) return null;
  if (alike.length === MOST_ALIKE) alike.shift();
  alike.push({ bytes: code.slice(at, at + d.length), d });
  return d;
}

function beginsWith(code: Uint8Array, at: number, bytes: number, begin: Uint8Array): boolean {
  if (begin.length > bytes) return false;
  for (let n = 0; n < begin.length; n++) if (code[at + n] !== begin[n]) return false;
  return true;
}
