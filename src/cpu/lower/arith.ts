// Lowers the pure integer nodes. Invariant: a value of less than 32 bits is zero-extended in its i32.

import { bug } from '../../base/errors.ts';
import type { BinFn, CmpFn, Value, Width } from '../isa/ir.ts';
import type { Code } from '../wasm/encode.ts';
import type { Lowering } from './lower.ts';

export function emitMask(c: Code, width: Width): void {
  if (width < 32) c.i32(width === 1 ? 1 : width === 8 ? 0xff : 0xffff).op('i32.and');
}

/** The i32 on the stack, sign-extended from `width` bits to 32. */
function emitSignExtend(c: Code, width: Width): void {
  if (width === 8) c.op('i32.extend8_s');
  else if (width === 16) c.op('i32.extend16_s');
  else if (width === 1) c.i32(31).op('i32.shl').i32(31).op('i32.shr_s');
}

const WASM_BIN: Partial<Record<BinFn, string>> = {
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  and: 'and',
  or: 'or',
  xor: 'xor',
  shl: 'shl',
  shr: 'shr_u',
  sar: 'shr_s',
  rotl: 'rotl',
  rotr: 'rotr',
  divu: 'div_u',
  divs: 'div_s',
  remu: 'rem_u',
  rems: 'rem_s',
};
const NEEDS_MASK = new Set<BinFn>(['add', 'sub', 'mul', 'shl', 'sar', 'divs', 'rems']);
const SIGNED = new Set<BinFn>(['sar', 'divs', 'rems']);

export function emitBin(l: Lowering, v: Value & { op: 'bin' }): void {
  const { c } = l;
  const { width, fn } = v;
  if (fn === 'mulhu' || fn === 'mulhs') return emitMulHigh(l, v);
  if (width < 32 && (fn === 'rotl' || fn === 'rotr')) return emitNarrowRotate(l, v);
  const prefix = width === 64 ? 'i64' : 'i32';
  l.push(v.a);
  if (SIGNED.has(fn) && width < 32) emitSignExtend(c, width);
  l.push(v.b);
  if (fn !== 'sar' && SIGNED.has(fn) && width < 32) emitSignExtend(c, width);
  c.op(`${prefix}.${WASM_BIN[fn] ?? bug(`no lowering of ${fn}`)}`);
  if (NEEDS_MASK.has(fn)) emitMask(c, width);
}

/** Rotate of 8 or 16 bits by less than its width. */
function emitNarrowRotate(l: Lowering, v: Value & { op: 'bin' }): void {
  const { c } = l;
  const a = l.inLocal(v.a);
  const n = l.inLocal(v.b);
  const [there, back] = v.fn === 'rotl' ? ['i32.shl', 'i32.shr_u'] : ['i32.shr_u', 'i32.shl'];
  c.get(a)
    .get(n)
    .op(there as string);
  c.get(a)
    .i32(v.width)
    .get(n)
    .op('i32.sub')
    .op(back as string);
  c.op('i32.or');
  emitMask(c, v.width);
}

function emitMulHigh(l: Lowering, v: Value & { op: 'bin' }): void {
  const { c } = l;
  const signed = v.fn === 'mulhs';
  if (v.width === 64) return emitMulHigh64(l, v, signed);
  for (const x of [v.a, v.b]) {
    l.push(x);
    if (signed) emitSignExtend(c, v.width);
    c.op(signed ? 'i64.extend_i32_s' : 'i64.extend_i32_u');
  }
  c.op('i64.mul').i64(BigInt(v.width)).op('i64.shr_u').op('i32.wrap_i64');
  emitMask(c, v.width);
}

/** Four 32 x 32 products; the signed result is the unsigned one less b where a < 0 and a where b < 0. */
function emitMulHigh64(l: Lowering, v: Value & { op: 'bin' }, signed: boolean): void {
  const { c } = l;
  const a = l.inLocal(v.a);
  const b = l.inLocal(v.b);
  const mid = l.temp('i64');
  const low = 0xffffffffn;
  const lo = (x: number) => c.get(x).i64(low).op('i64.and');
  const hi = (x: number) => c.get(x).i64(32n).op('i64.shr_u');
  // mid = ah * bl + (al * bl >> 32)
  hi(a);
  lo(b);
  c.op('i64.mul');
  lo(a);
  lo(b);
  c.op('i64.mul').i64(32n).op('i64.shr_u').op('i64.add').set(mid);
  // ah * bh + (mid >> 32) + ((al * bh + (mid & low)) >> 32)
  hi(a);
  hi(b);
  c.op('i64.mul');
  hi(mid);
  c.op('i64.add');
  lo(a);
  hi(b);
  c.op('i64.mul');
  lo(mid);
  c.op('i64.add').i64(32n).op('i64.shr_u').op('i64.add');
  if (!signed) return;
  for (const [x, y] of [
    [a, b],
    [b, a],
  ] as const) {
    c.get(x).i64(63n).op('i64.shr_s').get(y).op('i64.and').op('i64.sub');
  }
}

export function emitUn(l: Lowering, v: Value & { op: 'un' }): void {
  const { c } = l;
  const { width } = v;
  const wide = width === 64;
  const p = wide ? 'i64' : 'i32';
  const constant = (n: number) => (wide ? c.i64(BigInt(n)) : c.i32(n));
  switch (v.fn) {
    case 'not':
      l.push(v.a);
      constant(-1).op(`${p}.xor`);
      return emitMask(c, width);
    case 'neg':
      constant(0);
      l.push(v.a);
      c.op(`${p}.sub`);
      return emitMask(c, width);
    case 'clz':
      l.push(v.a);
      c.op(`${p}.clz`);
      if (width < 32) c.i32(32 - width).op('i32.sub');
      return;
    case 'ctz':
      l.push(v.a);
      if (width < 32) c.i32(1 << width).op('i32.or'); // So that 0 counts `width`.
      c.op(`${p}.ctz`);
      return;
    case 'popcnt':
      l.push(v.a);
      c.op(`${p}.popcnt`);
      return;
    case 'bswap':
      return emitByteSwap(l, v);
  }
}

function emitByteSwap(l: Lowering, v: Value & { op: 'un' }): void {
  const { c } = l;
  const a = l.inLocal(v.a);
  if (v.width === 16) {
    c.get(a).i32(8).op('i32.shl').get(a).i32(8).op('i32.shr_u').op('i32.or');
    return emitMask(c, 16);
  }
  if (v.width === 32) {
    c.get(a).i32(8).op('i32.rotl').i32(0x00ff00ff).op('i32.and');
    c.get(a)
      .i32(8)
      .op('i32.rotr')
      .i32(0xff00ff00 | 0)
      .op('i32.and')
      .op('i32.or');
    return;
  }
  // Swap bytes, then halves, then words, by masks.
  const t = l.temp('i64');
  c.get(a).set(t);
  const steps: [bigint, bigint][] = [
    [8n, 0x00ff00ff00ff00ffn],
    [16n, 0x0000ffff0000ffffn],
  ];
  for (const [n, mask] of steps) {
    c.get(t).i64(n).op('i64.shr_u').i64(mask).op('i64.and');
    c.get(t).i64(mask).op('i64.and').i64(n).op('i64.shl').op('i64.or').set(t);
  }
  c.get(t).i64(32n).op('i64.rotl');
}

const WASM_CMP: Record<CmpFn, string> = {
  eq: 'eq',
  ne: 'ne',
  ltu: 'lt_u',
  lts: 'lt_s',
  leu: 'le_u',
  les: 'le_s',
};

export function emitCompare(l: Lowering, v: Value & { op: 'cmp' }): void {
  const { c } = l;
  const { width } = v.a;
  if (width === 128) bug('128-bit values are compared with vec nodes');
  const p = width === 64 ? 'i64' : 'i32';
  const signed = (v.fn === 'lts' || v.fn === 'les') && width < 32;
  l.push(v.a);
  if (signed) emitSignExtend(c, width);
  if (v.b.op === 'const' && v.b.value === 0n && v.fn === 'eq') {
    c.op(`${p}.eqz`);
    return;
  }
  l.push(v.b);
  if (signed) emitSignExtend(c, width);
  c.op(`${p}.${WASM_CMP[v.fn]}`);
}

export function emitCast(l: Lowering, v: Value & { op: 'cast' }): void {
  const { c } = l;
  const from = v.a.width;
  const to = v.width;
  if (from === 128) {
    l.push(v.a);
    if (to === 64) c.op('i64x2.extract_lane', 0);
    else c.op('i32x4.extract_lane', 0);
    return emitMask(c, to);
  }
  if (to === 128) {
    if (v.fn === 'sext') bug('no sign extension to 128 bits');
    c.lanes('v128.const', new Array<number>(16).fill(0));
    l.push(v.a);
    if (from === 64) c.op('i64x2.replace_lane', 0);
    else c.op('i32x4.replace_lane', 0);
    return;
  }
  if (v.fn === 'sext' && v.a.op === 'imm' && l.site.pushSignedImm?.(v.a.n, from, to)) return;
  l.push(v.a);
  if (v.fn === 'trunc') {
    if (from === 64) c.op('i32.wrap_i64');
    return emitMask(c, to);
  }
  if (v.fn === 'zext') {
    if (to === 64) c.op('i64.extend_i32_u');
    return;
  }
  emitSignExtend(c, from);
  if (to === 64) c.op('i64.extend_i32_s');
  else emitMask(c, to);
}
