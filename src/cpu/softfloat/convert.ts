// Conversions: between formats, to and from integers, rounding to integral values.

import {
  DE,
  type Format,
  IE,
  INDEFINITE,
  isDenormal,
  isSignaling,
  type Num,
  PE,
  quieted,
  type Sign,
} from './number.ts';
import { type Env, round, roundShift } from './round.ts';

/** To another format: rounds, quiets NaNs, notes denormals. */
export function convert(env: Env, format: Format, n: Num, precision = format.precision): Num {
  if (n.kind === 'unsupported') {
    env.flags |= IE;
    return INDEFINITE;
  }
  if (n.kind === 'nan') {
    if (isSignaling(n)) env.flags |= IE;
    return quieted(n);
  }
  if (n.kind !== 'finite') return n;
  if (isDenormal(n)) {
    env.flags |= DE;
    if ((env.masks & DE) === 0) return n;
  }
  return round(env, format, { sign: n.sign, sig: n.sig, exp: n.exp, sticky: false }, precision);
}

/** An integer as a number, exact: `round` it to a format. */
export function fromInteger(n: bigint): Num {
  if (n === 0n) return { kind: 'zero', sign: 0 };
  const sign: Sign = n < 0n ? 1 : 0;
  return { kind: 'finite', sign, sig: n < 0n ? -n : n, exp: 0, denormal: false };
}

/**
 * To a signed integer of `bits`; what does not fit gives the "integer indefinite" (the least value) and IE. SDM 1 4.8.4,
 * table 4-6. The denormal exception does not exist here.
 */
export function toInteger(env: Env, n: Num, bits: number, rounding = env.rounding): bigint {
  const indefinite = -(1n << BigInt(bits - 1));
  if (n.kind === 'zero') return 0n;
  if (n.kind !== 'finite' || n.exp > bits) {
    env.flags |= IE;
    return indefinite;
  }
  const { q, inexact, up } = roundShift(rounding, n.sign, n.sig, -n.exp, false);
  const value = n.sign === 0 ? q : -q;
  if (value < indefinite || value >= -indefinite) {
    env.flags |= IE;
    return indefinite;
  }
  if (inexact) env.flags |= PE;
  env.roundedUp = up;
  return value;
}

/** To an integral value of the same format. `quiet`: no precision exception. */
export function toIntegral(env: Env, n: Num, rounding: number, quiet: boolean): Num {
  if (n.kind === 'unsupported' || n.kind === 'nan') return convertNaN(env, n);
  if (n.kind !== 'finite' || n.exp >= 0) return n;
  const { q, inexact, up } = roundShift(rounding, n.sign, n.sig, -n.exp, false);
  if (inexact && !quiet) env.flags |= PE;
  env.roundedUp = up;
  if (q === 0n) return { kind: 'zero', sign: n.sign };
  return { kind: 'finite', sign: n.sign, sig: q, exp: 0, denormal: false };
}

function convertNaN(env: Env, n: Num): Num {
  if (n.kind !== 'nan' || isSignaling(n)) env.flags |= IE;
  return n.kind === 'nan' ? quieted(n) : INDEFINITE;
}
