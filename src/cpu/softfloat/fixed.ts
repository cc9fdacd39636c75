// Elementary functions in fixed point: values are integers that stand for n / 2^bits. The base of x87's transcendentals.

/** Bits beyond the asked ones that absorb the truncations of a series. */
const GUARD = 32n;

/** arctanh(1/n), times 2^bits, by its series. */
function inverseArtanh(n: bigint, bits: bigint): bigint {
  let power = (1n << bits) / n;
  let sum = power;
  for (let k = 3n; power > 0n; k += 2n) {
    power /= n * n;
    sum += power / k;
  }
  return sum;
}

/** arctan(1/n), times 2^bits. */
function inverseArctan(n: bigint, bits: bigint): bigint {
  let power = (1n << bits) / n;
  let sum = power;
  for (let k = 3n, minus = true; power > 0n; k += 2n, minus = !minus) {
    power /= n * n;
    sum += minus ? -(power / k) : power / k;
  }
  return sum;
}

/** ln 2 = 18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749). */
export function ln2(bits: bigint): bigint {
  const b = bits + GUARD;
  const sum =
    18n * inverseArtanh(26n, b) - 2n * inverseArtanh(4801n, b) + 8n * inverseArtanh(8749n, b);
  return sum >> GUARD;
}

/** Machin: pi = 16 arctan(1/5) - 4 arctan(1/239). */
export function pi(bits: bigint): bigint {
  const b = bits + GUARD;
  return (16n * inverseArctan(5n, b) - 4n * inverseArctan(239n, b)) >> GUARD;
}

/** e^x - 1 for |x| below 1. */
export function expMinus1(x: bigint, bits: bigint): bigint {
  const y = x << GUARD;
  const b = bits + GUARD;
  let term = y;
  let sum = y;
  for (let k = 2n; term > 0n || term < -1n; k++) {
    term = ((term * y) >> b) / k;
    sum += term;
  }
  return sum >> GUARD;
}

/** artanh(x) for |x| at most 0.2. */
export function artanh(x: bigint, bits: bigint): bigint {
  const y = x << GUARD;
  const b = bits + GUARD;
  const square = (y * y) >> b;
  let power = y;
  let sum = y;
  for (let k = 3n; power > 0n || power < -1n; k += 2n) {
    power = (power * square) >> b;
    sum += power / k;
  }
  return sum >> GUARD;
}

/** sin x and cos x for |x| below 1. */
export function sinCos(x: bigint, bits: bigint): { sin: bigint; cos: bigint } {
  const y = x << GUARD;
  const b = bits + GUARD;
  let term = 1n << b;
  let sin = 0n;
  let cos = term;
  for (let k = 1n; term > 0n || term < -1n; k++) {
    term = ((term * y) >> b) / k;
    const signed = (k & 2n) === 0n ? term : -term;
    if ((k & 1n) === 1n) sin += signed;
    else cos += signed;
  }
  return { sin: sin >> GUARD, cos: cos >> GUARD };
}

function squareRoot(n: bigint): bigint {
  let x = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** arctan(x) for x from 0 to 1: the angle is halved three times, then summed as a series. */
export function arctan(x: bigint, bits: bigint): bigint {
  const b = bits + GUARD;
  const one = 1n << b;
  let y = x << GUARD;
  const halvings = 3n;
  for (let n = 0n; n < halvings; n++) {
    const root = squareRoot((one << b) + y * y);
    y = (y << b) / (one + root);
  }
  const square = (y * y) >> b;
  let power = y;
  let sum = y;
  for (let k = 3n, minus = true; power > 0n; k += 2n, minus = !minus) {
    power = (power * square) >> b;
    sum += minus ? -(power / k) : power / k;
  }
  return (sum << halvings) >> GUARD;
}
