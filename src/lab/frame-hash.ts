// A fast 128-bit hash of one frame of guest memory: not for enemies, only to tell equal from different.

const FRAME_WORDS = 1024;

/** Four lanes of multiply and rotate (as MurmurHash3 x86_128 does it), each word of the frame in one of them. */
export function hashFrame(words: Uint32Array, at: number, out: Uint32Array): void {
  let a = 0x9e3779b9 | 0;
  let b = 0x85ebca6b | 0;
  let c = 0xc2b2ae35 | 0;
  let d = 0x27d4eb2f | 0;
  for (let i = at; i < at + FRAME_WORDS; i += 4) {
    a = Math.imul(rotate(a ^ Math.imul(words[i]!, 0x239b961b), 19) + b, 5) + 0x561ccd1b;
    b = Math.imul(rotate(b ^ Math.imul(words[i + 1]!, 0xab0e9789 | 0), 17) + c, 5) + 0x0bcaa747;
    c = Math.imul(rotate(c ^ Math.imul(words[i + 2]!, 0x38b34ae5), 15) + d, 5) + 0x96cd1c35;
    d = Math.imul(rotate(d ^ Math.imul(words[i + 3]!, 0xa1e38b93 | 0), 13) + a, 5) + 0x32ac3b17;
  }
  out[0] = finish(a ^ d);
  out[1] = finish(b ^ a);
  out[2] = finish(c ^ b);
  out[3] = finish(d ^ c);
}

/** Whether the frame holds nothing but zeros. */
export function isZeroFrame(words: Uint32Array, at: number): boolean {
  for (let i = at; i < at + FRAME_WORDS; i++) if (words[i] !== 0) return false;
  return true;
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function finish(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x85ebca6b | 0);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35 | 0);
  return h ^ (h >>> 16);
}
