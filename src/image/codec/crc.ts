// The checksums that compressed formats carry: CRC-32 in both bit orders, CRC-64 and Adler-32.

/** Eight tables, so that eight bytes are folded at once ("slicing by 8"): table k advances a byte by k more zero bytes. */
const CRC32_TABLES = tables32(0xedb88320); // ISO 3309, RFC 1952 8.

/** CRC-32 as in gzip, xz and lzop; `seed` continues an earlier result. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const t = CRC32_TABLES;
  const length = bytes.length;
  let crc = ~seed;
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    const lo =
      crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      t[1792 + (lo & 255)]! ^
      t[1536 + ((lo >>> 8) & 255)]! ^
      t[1280 + ((lo >>> 16) & 255)]! ^
      t[1024 + (lo >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < length; at++) crc = t[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function tables32(polynomial: number): Int32Array {
  const out = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    out[n] = crc;
  }
  for (let n = 256; n < out.length; n++) {
    const earlier = out[n - 256]!;
    out[n] = out[earlier & 255]! ^ (earlier >>> 8);
  }
  return out;
}

/** CRC-32 with the highest bit first, as in bzip2: polynomial 0x04c11db7. */
export function crc32Msb(bytes: Uint8Array): number {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) {
    crc = MSB_TABLE[((crc >>> 24) ^ bytes[at]!) & 255]! ^ (crc << 8);
  }
  return ~crc >>> 0;
}

const MSB_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let crc = n << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** CRC-64 of ECMA-182, reflected, as in xz; halves are kept apart because numbers hold 53 bits. */
export function crc64(bytes: Uint8Array): { lo: number; hi: number } {
  const { lo: tlo, hi: thi } = CRC64_TABLES;
  const length = bytes.length;
  let lo = -1;
  let hi = -1;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    const x =
      lo ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    const a = 768 + (x & 255);
    const b = 512 + ((x >>> 8) & 255);
    const c = 256 + ((x >>> 16) & 255);
    const d = x >>> 24;
    lo = hi ^ tlo[a]! ^ tlo[b]! ^ tlo[c]! ^ tlo[d]!;
    hi = thi[a]! ^ thi[b]! ^ thi[c]! ^ thi[d]!;
  }
  for (; at < length; at++) {
    const index = (lo ^ bytes[at]!) & 255;
    lo = ((lo >>> 8) | (hi << 24)) ^ tlo[index]!;
    hi = (hi >>> 8) ^ thi[index]!;
  }
  return { lo: ~lo >>> 0, hi: ~hi >>> 0 };
}

const CRC64_TABLES = tables64(0xd7870f42, 0xc96c5795);

function tables64(polynomialLo: number, polynomialHi: number) {
  const lo = new Int32Array(4 * 256);
  const hi = new Int32Array(4 * 256);
  for (let n = 0; n < 256; n++) {
    let l = n;
    let h = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = l & 1;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (carry) {
        l ^= polynomialLo;
        h ^= polynomialHi;
      }
    }
    lo[n] = l;
    hi[n] = h;
  }
  for (let n = 256; n < lo.length; n++) {
    const l = lo[n - 256]!;
    const h = hi[n - 256]!;
    lo[n] = ((l >>> 8) | (h << 24)) ^ lo[l & 255]!;
    hi[n] = (h >>> 8) ^ hi[l & 255]!;
  }
  return { lo, hi };
}

/** RFC 1950 8.2. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 5552); // The most additions before b leaves 32 bits.
    for (; at < end; at++) {
      a += bytes[at]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}
