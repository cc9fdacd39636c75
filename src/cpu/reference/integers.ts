// The integer functions of the IR on BigInt. Every value is unsigned and below 2 ** width.

import { bug } from '../../base/errors.ts';
import type { BinFn, CastFn, CmpFn, UnFn } from '../isa/ir.ts';

export function unsigned(value: bigint, bits: number): bigint {
  return BigInt.asUintN(bits, value);
}

export function signed(value: bigint, bits: number): bigint {
  return BigInt.asIntN(bits, value);
}

export function binary(fn: BinFn, bits: number, a: bigint, b: bigint): bigint {
  return unsigned(exactBinary(fn, bits, a, b), bits);
}

function exactBinary(fn: BinFn, bits: number, a: bigint, b: bigint): bigint {
  const w = BigInt(bits);
  const count = b % w;
  switch (fn) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'mulhu':
      return (a * b) >> w;
    case 'mulhs':
      return (signed(a, bits) * signed(b, bits)) >> w;
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'shl':
      return a << count;
    case 'shr':
      return a >> count;
    case 'sar':
      return signed(a, bits) >> count;
    case 'rotl':
      return (a << count) | (a >> (w - count));
    case 'rotr':
      return (a >> count) | (a << (w - count));
    case 'divu':
      return a / nonZero(b);
    case 'remu':
      return a % nonZero(b);
    case 'divs':
      return signed(a, bits) / nonZero(signed(b, bits));
    case 'rems':
      return signed(a, bits) % nonZero(signed(b, bits));
  }
}

function nonZero(divisor: bigint): bigint {
  return divisor !== 0n ? divisor : bug('a division by zero is computed before its fault');
}

export function unary(fn: UnFn, bits: number, a: bigint): bigint {
  switch (fn) {
    case 'not':
      return unsigned(~a, bits);
    case 'neg':
      return unsigned(-a, bits);
    case 'clz':
      return BigInt(bits - (a === 0n ? 0 : a.toString(2).length));
    case 'ctz':
      return BigInt(a === 0n ? bits : (a & -a).toString(2).length - 1);
    case 'popcnt':
      return countOnes(a);
    case 'bswap':
      return joinLanes(splitLanes(a, 8, bits).reverse(), 8);
  }
}

export function compare(fn: CmpFn, bits: number, a: bigint, b: bigint): boolean {
  switch (fn) {
    case 'eq':
      return a === b;
    case 'ne':
      return a !== b;
    case 'ltu':
      return a < b;
    case 'leu':
      return a <= b;
    case 'lts':
      return signed(a, bits) < signed(b, bits);
    case 'les':
      return signed(a, bits) <= signed(b, bits);
  }
}

export function cast(fn: CastFn, from: number, to: number, a: bigint): bigint {
  return unsigned(fn === 'sext' ? signed(a, from) : a, to);
}

export function countOnes(a: bigint): bigint {
  return BigInt(a.toString(2).replaceAll('0', '').length);
}

/** Unsigned parts of `bits` bits each, lowest first. */
export function splitLanes(value: bigint, bits: number, total = 128): bigint[] {
  const lanes: bigint[] = [];
  for (let at = 0; at < total; at += bits) lanes.push(unsigned(value >> BigInt(at), bits));
  return lanes;
}

export function joinLanes(lanes: readonly bigint[], bits: number): bigint {
  return lanes.reduce((sum, lane, n) => sum | (unsigned(lane, bits) << BigInt(n * bits)), 0n);
}
