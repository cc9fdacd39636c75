// Comparison of two numbers, and the minimum and maximum as SSE defines them.

import { DE, type Finite, IE, isDenormal, isSignaling, type Num } from './number.ts';
import type { Env } from './round.ts';

export type Order = 'less' | 'equal' | 'greater' | 'unordered';

/** `signaling`: quiet NaNs are invalid too. SDM 1 table 4-7; denormals are noted unless a NaN is there. */
export function compare(env: Env, a: Num, b: Num, signaling: boolean): Order {
  const a0 = isUnordered(a);
  if (a0 || isUnordered(b)) {
    const bad = [a, b].some((n) => n.kind === 'unsupported' || isSignaling(n));
    if (signaling || bad) env.flags |= IE;
    return 'unordered';
  }
  if (isDenormal(a) || isDenormal(b)) env.flags |= DE;
  return order(a, b);
}

function isUnordered(n: Num): boolean {
  return n.kind === 'nan' || n.kind === 'unsupported';
}

function order(a: Num, b: Num): Order {
  const x = rank(a);
  const y = rank(b);
  if (x !== y) return x < y ? 'less' : 'greater';
  if (a.kind !== 'finite' || b.kind !== 'finite') return 'equal';
  return finiteOrder(a, b);
}

/** -inf, negative, zero, positive, +inf. */
function rank(n: Num): number {
  if (n.kind === 'zero' || !('sign' in n)) return 0;
  const size = n.kind === 'inf' ? 2 : 1;
  return n.sign === 0 ? size : -size;
}

function finiteOrder(a: Finite, b: Finite): Order {
  const least = Math.min(a.exp, b.exp);
  const x = a.sig << BigInt(a.exp - least);
  const y = b.sig << BigInt(b.exp - least);
  if (x === y) return 'equal';
  return x < y === (a.sign === 0) ? 'less' : 'greater';
}

/** Whether MIN (MAX) gives the first operand. NaNs and equal operands, zeros of any sign too, give the second. SDM 2B MINPS. */
export function takesFirst(env: Env, fn: 'min' | 'max', a: Num, b: Num): boolean {
  return compare(env, a, b, true) === (fn === 'min' ? 'less' : 'greater');
}
