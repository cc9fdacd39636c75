// Output buffers that grow by doubling, up to a limit.
import { tooLarge } from './corrupt.ts';

/** Kernels and packages unpack to four to eight times their size. */
const LIKELY_RATIO = 64;

/** At least `needed` bytes with the content of `out`; never more than `limit`. */
export function grow(out: Uint8Array, needed: number, limit: number, format: string): Uint8Array {
  if (needed > limit) throw tooLarge(format, limit);
  const larger = new Uint8Array(Math.min(limit, Math.max(needed, 2 * out.length)));
  larger.set(out);
  return larger;
}

/** A first buffer: about what data like this unpacks to, yet small next to the limit when the input is small. */
export function firstBuffer(inputBytes: number, limit: number): Uint8Array {
  return new Uint8Array(Math.min(limit, Math.max(4096, inputBytes * 4)));
}

/** A buffer for what a file says of its own size: at once if that is likely, else a part of it, to grow. */
export function declaredBuffer(declared: number, inputBytes: number, limit: number): Uint8Array {
  return new Uint8Array(Math.min(declared, limit, Math.max(4096, inputBytes * LIKELY_RATIO)));
}
