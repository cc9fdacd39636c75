// Floating-point numbers taken apart: the formats, unpacking bits to a class and an exact value, packing back.

/** Exception flags: the places they have in MXCSR, the x87 status word and (as masks) the control word. */
export const IE = 1 << 0;
export const DE = 1 << 1;
export const ZE = 1 << 2;
export const OE = 1 << 3;
export const UE = 1 << 4;
export const PE = 1 << 5;

/** `precision`: bits of the significand with its integer bit. `least`, `most`: exponents of normal numbers. */
export interface Format {
  readonly precision: number;
  readonly least: number;
  readonly most: number;
}
export const F32: Format = { precision: 24, least: -126, most: 127 };
export const F64: Format = { precision: 53, least: -1022, most: 1023 };
export const F80: Format = { precision: 64, least: -16382, most: 16383 };

export type Sign = 0 | 1;

/**
 * A value. Finite ones are `sig` times two to the `exp`, exactly. The payload of a NaN is the 64-bit significand that
 * it has in the 80-bit format, whatever format it came from. `unsupported`: encodings that only the 8087 knew.
 */
export type Num =
  | { readonly kind: 'nan'; readonly sign: Sign; readonly sig: bigint }
  | { readonly kind: 'inf'; readonly sign: Sign }
  | { readonly kind: 'zero'; readonly sign: Sign }
  | {
      readonly kind: 'finite';
      readonly sign: Sign;
      readonly sig: bigint;
      readonly exp: number;
      readonly denormal: boolean;
    }
  | { readonly kind: 'unsupported' };

export type NaN80 = Num & { kind: 'nan' };
export type Finite = Num & { kind: 'finite' };

const INTEGER_BIT = 1n << 63n;
const QUIET_BIT = 1n << 62n;

/** The "real indefinite": what invalid operations give. SDM 1 table 4-3. */
export const INDEFINITE: NaN80 = { kind: 'nan', sign: 1, sig: INTEGER_BIT | QUIET_BIT };

export function isSignaling(n: Num): boolean {
  return n.kind === 'nan' && (n.sig & QUIET_BIT) === 0n;
}
export function quieted(n: NaN80): NaN80 {
  return { ...n, sig: n.sig | QUIET_BIT };
}
export function isDenormal(n: Num): boolean {
  return n.kind === 'finite' && n.denormal;
}

export function bitLength(n: bigint): number {
  if (n < 1n << 53n) {
    const v = Number(n);
    return v < 4294967296 ? 32 - Math.clz32(v) : 64 - Math.clz32(Math.floor(v / 4294967296));
  }
  return (
    n.toString(16).length * 4 - Math.clz32(Number.parseInt(n.toString(16)[0] as string, 16)) + 28
  );
}

/** From the bits of the 32- or 64-bit format. */
export function unpack(format: Format, bits: bigint): Num {
  const fractionBits = BigInt(format.precision - 1);
  const bias = format.most;
  const fraction = bits & ((1n << fractionBits) - 1n);
  const exponent = Number((bits >> fractionBits) & BigInt(2 * bias + 1));
  const sign: Sign = bits >> BigInt(widthOf(format) - 1) === 0n ? 0 : 1;
  if (exponent === 2 * bias + 1) {
    if (fraction === 0n) return { kind: 'inf', sign };
    return { kind: 'nan', sign, sig: INTEGER_BIT | (fraction << (63n - fractionBits)) };
  }
  if (exponent !== 0) {
    const sig = fraction | (1n << fractionBits);
    return {
      kind: 'finite',
      sign,
      sig,
      exp: exponent - bias - Number(fractionBits),
      denormal: false,
    };
  }
  if (fraction === 0n) return { kind: 'zero', sign };
  const exp = format.least - Number(fractionBits);
  return { kind: 'finite', sign, sig: fraction, exp, denormal: true };
}

function widthOf(format: Format): 32 | 64 {
  return format.precision === 24 ? 32 : 64;
}

/** To the bits of the 32- or 64-bit format. A finite value must be representable (`round` makes it so). */
export function pack(format: Format, n: Num): bigint {
  const fractionBits = BigInt(format.precision - 1);
  const top = (sign: Sign) => BigInt(sign) << BigInt(widthOf(format) - 1);
  const ones = BigInt(2 * format.most + 1) << fractionBits;
  switch (n.kind) {
    case 'unsupported':
      return pack(format, INDEFINITE);
    case 'zero':
      return top(n.sign);
    case 'inf':
      return top(n.sign) | ones;
    case 'nan':
      return top(n.sign) | ones | ((n.sig & (INTEGER_BIT - 1n)) >> (63n - fractionBits));
    case 'finite': {
      const { sig, exponent } = aligned(format, n);
      if (exponent < format.least) return top(n.sign) | sig;
      const biased = BigInt(exponent + format.most) << fractionBits;
      return top(n.sign) | biased | (sig - (1n << fractionBits));
    }
  }
}

/** The significand shifted to the place of the format; an exponent below the least marks a denormal. */
function aligned(format: Format, n: Finite): { sig: bigint; exponent: number } {
  const length = bitLength(n.sig);
  const exponent = n.exp + length - 1;
  const unit = Math.max(exponent, format.least) - format.precision + 1;
  const shift = n.exp - unit;
  const sig = shift >= 0 ? n.sig << BigInt(shift) : n.sig >> BigInt(-shift);
  return { sig, exponent };
}

/** An 80-bit value as its two parts: sign and exponent (16 bits), significand with explicit integer bit (64 bits). */
export interface Extended {
  readonly se: number;
  readonly sig: bigint;
}

export function unpackExtended({ se, sig }: Extended): Num {
  const sign: Sign = se & 0x8000 ? 1 : 0;
  const exponent = se & 0x7fff;
  if (exponent === 0) {
    if (sig === 0n) return { kind: 'zero', sign };
    return { kind: 'finite', sign, sig, exp: F80.least - 63, denormal: true };
  }
  if ((sig & INTEGER_BIT) === 0n) return { kind: 'unsupported' };
  if (exponent !== 0x7fff)
    return { kind: 'finite', sign, sig, exp: exponent - F80.most - 63, denormal: false };
  return sig === INTEGER_BIT ? { kind: 'inf', sign } : { kind: 'nan', sign, sig };
}

export function packExtended(n: Num): Extended {
  switch (n.kind) {
    case 'unsupported':
      return packExtended(INDEFINITE);
    case 'zero':
      return { se: n.sign << 15, sig: 0n };
    case 'inf':
      return { se: (n.sign << 15) | 0x7fff, sig: INTEGER_BIT };
    case 'nan':
      return { se: (n.sign << 15) | 0x7fff, sig: n.sig };
    case 'finite': {
      const { sig, exponent } = aligned(F80, n);
      const biased = exponent < F80.least ? 0 : exponent + F80.most;
      return { se: (n.sign << 15) | biased, sig };
    }
  }
}
