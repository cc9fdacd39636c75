// SHA-256, for the digests that name images in results.

// FIPS 180-4 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const K = Int32Array.from(firstPrimes(64), (prime) => fractionBits(prime, 3));
// FIPS 180-4 5.3.3: of the square roots of the first eight.
const INITIAL = Int32Array.from(firstPrimes(8), (prime) => fractionBits(prime, 2));

const BLOCK_BYTES = 64;
/** The 0x80 byte and the 64-bit length that end the last block. */
const TAIL_BYTES = 9;

export function sha256(bytes: Uint8Array): Uint8Array {
  const hash = new Sha256();
  hash.update(bytes);
  return hash.digest();
}

export function sha256Hex(bytes: Uint8Array): string {
  return hex(sha256(bytes));
}

/** The digest of bytes that come in pieces. */
export class Sha256 {
  private readonly state = INITIAL.slice();
  private readonly schedule = new Int32Array(64);
  private readonly block = new Uint8Array(BLOCK_BYTES);
  private used = 0;
  private total = 0;

  update(bytes: Uint8Array): void {
    let at = 0;
    this.total += bytes.length;
    if (this.used > 0) {
      at = Math.min(BLOCK_BYTES - this.used, bytes.length);
      this.block.set(bytes.subarray(0, at), this.used);
      this.used += at;
      if (this.used < BLOCK_BYTES) return;
      compress(this.state, this.schedule, this.block, 0);
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
      compress(this.state, this.schedule, bytes, at);
    }
    this.block.set(bytes.subarray(at));
    this.used = bytes.length - at;
  }

  /** Of all bytes so far; more may follow. */
  digest(): Uint8Array {
    const state = this.state.slice();
    const tail = new Uint8Array(
      this.used + TAIL_BYTES > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES,
    );
    tail.set(this.block.subarray(0, this.used));
    tail[this.used] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(this.total / 0x2000_0000));
    view.setUint32(tail.length - 4, (this.total % 0x2000_0000) * 8);
    for (let at = 0; at < tail.length; at += BLOCK_BYTES) compress(state, this.schedule, tail, at);
    const digest = new Uint8Array(32);
    const out = new DataView(digest.buffer);
    for (let n = 0; n < 8; n++) out.setInt32(4 * n, state[n]!);
    return digest;
  }

  hex(): string {
    return hex(this.digest());
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** One block (FIPS 180-4 6.2.2). */
function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array, at: number): void {
  for (let n = 0; n < 16; n++) {
    const from = at + 4 * n;
    w[n] =
      (bytes[from]! << 24) | (bytes[from + 1]! << 16) | (bytes[from + 2]! << 8) | bytes[from + 3]!;
  }
  for (let n = 16; n < 64; n++) {
    const x = w[n - 15]!;
    const y = w[n - 2]!;
    const small0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const small1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[n] = (w[n - 16]! + small0 + w[n - 7]! + small1) | 0;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let n = 0; n < 64; n++) {
    const big1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const big0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t1 = (h + big1 + ((e & f) ^ (~e & g)) + K[n]! + w[n]!) | 0;
    const t2 = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = state[0]! + a;
  state[1] = state[1]! + b;
  state[2] = state[2]! + c;
  state[3] = state[3]! + d;
  state[4] = state[4]! + e;
  state[5] = state[5]! + f;
  state[6] = state[6]! + g;
  state[7] = state[7]! + h;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) {
    if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  }
  return primes;
}

/** The first 32 fraction bits of the `degree`-th root of `value`, by exact integer root of value * 2^(32 degree). */
function fractionBits(value: number, degree: number): number {
  const target = BigInt(value) << BigInt(32 * degree);
  let root = 0n;
  for (let bit = 36n; bit >= 0n; bit--) {
    const next = root | (1n << bit);
    if (next ** BigInt(degree) <= target) root = next;
  }
  return Number(BigInt.asIntN(32, root));
}
