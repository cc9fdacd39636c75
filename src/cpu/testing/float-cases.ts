// Cases of x87, MMX and SSE instructions that a real CPU can run too: code, vector and x87 registers, a window of memory.

import type { Form, Insn } from '../isa/define.ts';
import { fpuState } from '../isa/fpu-state.ts';
import { sseCompare } from '../isa/sse-compare.ts';
import { sseConvert } from '../isa/sse-convert.ts';
import { sseFloat } from '../isa/sse-float.ts';
import { sseInt } from '../isa/sse-int.ts';
import { sseMove } from '../isa/sse-move.ts';
import { sseShift } from '../isa/sse-shift.ts';
import { sseShuffle } from '../isa/sse-shuffle.ts';
import { sse41 } from '../isa/sse41.ts';
import { sse42 } from '../isa/sse42.ts';
import { ssse3 } from '../isa/ssse3.ts';
import { x87 } from '../isa/x87.ts';
import { x87Arith } from '../isa/x87-arith.ts';
import { parsePattern } from './encoding.ts';
import { Random } from './random.ts';

export const WINDOW = 128;
export const DATA_AT = 0x21000;

export interface FloatCase {
  readonly code: readonly number[];
  /** RAX RCX RDX RBX RFLAGS. RSI and RDI point to the data. */
  readonly regs: readonly bigint[];
  readonly data: Uint8Array;
  readonly fx: Uint8Array;
}

/** What running it left behind. `trap`: vector, or -1. */
export interface FloatResult extends Omit<FloatCase, 'code'> {
  readonly trap: number;
}

export interface FloatGroup {
  readonly name: string;
  readonly insn: Insn;
  readonly form: Form;
  readonly kind: 'reg' | 'mem';
  readonly seed: number;
}

/** Results that are each processor's own, or that depend on addresses. */
const OWN =
  /^(fxsave|fxrstor|xsave|xrstor|xgetbv|xsetbv|fnsave|frstor|fnstenv|fldenv|fwait|fninit|fneni|fndisi|fnsetpm)/;
const APPROXIMATE = /^(rcp|rsqrt)[ps]s$/;
const TRANSCENDENTAL = /^(f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos)$/;

/** Within which error of the exact result ours is compared with the CPU's: none, one unit in the last place of 64 bits, 1.5 * 2^-12. */
export type Exactness = 'exact' | 'transcendental' | 'approximate';

function exactnessOf({ name }: Insn): Exactness {
  if (TRANSCENDENTAL.test(name)) return 'transcendental';
  return APPROXIMATE.test(name) ? 'approximate' : 'exact';
}

export function floatGroups(exactness: Exactness = 'exact'): FloatGroup[] {
  const families = [sseMove, sseInt, sseShift, sseShuffle, sseFloat, sseConvert, sseCompare]
    .concat([sse41, sse42, ssse3, x87, x87Arith, fpuState])
    .flat();
  const groups: FloatGroup[] = [];
  for (const insn of families) {
    if (OWN.test(insn.name) || exactnessOf(insn) !== exactness) continue;
    for (const form of insn.forms) {
      for (const kind of kindsOf(form)) {
        const name = `${form.name ?? insn.name} ${form.op} ${form.args} ${kind}`;
        groups.push({ name, insn, form, kind, seed: seedOf(name) });
      }
    }
  }
  return groups;
}

function seedOf(name: string): number {
  let h = 7;
  for (const c of name) h = (Math.imul(h, 31) + (c.codePointAt(0) ?? 0)) >>> 0;
  return h;
}

/** Register or memory, as the operand codes allow. SDM 2A, appendix A.2.1. */
function kindsOf(form: Form): ('reg' | 'mem')[] {
  if (!/\/[r0-7]/.test(form.op)) return ['reg'];
  if (/\bM/.test(form.args)) return ['mem'];
  if (/\b[WEQ]/.test(form.args)) return ['reg', 'mem'];
  return ['reg'];
}

export function floatCase(group: FloatGroup, n: number): FloatCase {
  const r = new Random(group.seed + n * 7919);
  const isX87 = /fpu|cmov/.test(group.form.needs ?? '') || group.insn.name.startsWith('fist');
  return {
    code: codeOf(group, r),
    regs: [...Array.from({ length: 4 }, () => integer(r)), BigInt(r.below(2) * 0x8d5 + 2)],
    data: dataOf(group, r, isX87),
    fx: imageOf(r, isX87, /pi/.test(group.insn.name)),
  };
}

function codeOf({ form, kind }: FloatGroup, r: Random): number[] {
  const p = parsePattern(form.op);
  const code: number[] = typeof p.prefix === 'number' ? [p.prefix] : [];
  if (p.w === 1) code.push(0x48);
  code.push(...p.opcode);
  if (p.exact !== null) code.push(p.exact + (p.plusI ? r.below(4) : 0));
  else if (p.modrm !== null) {
    const reg = p.modrm === 'r' ? r.below(4) : p.modrm;
    const offset = r.chance(90) ? 16 * r.below(4) : r.below(64);
    code.push(kind === 'mem' ? 0x46 | (reg << 3) : 0xc0 | (reg << 3) | r.below(4));
    if (kind === 'mem') code.push(offset);
  }
  if (/\bIb/.test(form.args)) code.push(r.chance(60) ? r.below(16) : r.below(256));
  return code;
}

function integer(r: Random): bigint {
  const full = (BigInt(r.u32()) << 32n) | BigInt(r.u32());
  return r.pick([full, BigInt.asUintN(64, BigInt(r.below(64) - 32)), full >> BigInt(r.below(64))]);
}

/** A float of `fraction` and `exponent` bits whose classes and neighbourhoods all come up. */
export function float(r: Random, fraction: number, exponent: number): bigint {
  const most = (1 << exponent) - 1;
  const bias = most >> 1;
  const near = () => bias + r.below(2 * fraction + 8) - fraction - 4;
  const e = r.pick([0, most, 1, most - 1, bias, bias, near(), near(), near(), r.below(most + 1)]);
  const random = (BigInt(r.u32()) << 32n) | BigInt(r.u32());
  const one = 1n << BigInt(fraction);
  const f = r.pick([
    0n,
    0n,
    1n,
    one - 1n,
    one >> 1n,
    random,
    random,
    random << BigInt(fraction >> 1),
  ]);
  return (
    (BigInt(r.below(2)) << BigInt(fraction + exponent)) |
    (BigInt(e) << BigInt(fraction)) |
    (f & (one - 1n))
  );
}

function vector(r: Random, view: DataView, at: number): void {
  const kind = r.below(8);
  for (let n = 0; n < 4; n++)
    if (kind < 4) view.setUint32(at + n * 4, Number(float(r, 23, 8)), true);
  for (let n = 0; n < 2; n++)
    if (kind >= 4) view.setBigUint64(at + n * 8, kind < 7 ? float(r, 52, 11) : integer(r), true);
  if (kind === 6)
    for (let n = 0; n < 16; n++)
      view.setUint8(at + n, r.pick([0, 0x80, 0xff, 0x41, 0x42, r.below(256)]));
}

/** An 80-bit value, with denormals and encodings that are no numbers now and then. */
function extended(r: Random, view: DataView, at: number): void {
  const e = r.pick(
    [0, 0x7fff, 1, 0x7ffe, 0x3fff, 0x3fff, r.below(0x8000)].concat(
      Array.from({ length: 8 }, () => 0x3fff + r.below(140) - 70),
    ),
  );
  const random = (BigInt(r.u32()) << 32n) | BigInt(r.u32());
  const sig = r.pick([0n, 1n << 63n, (1n << 64n) - 1n, random, random, random & ~0xffffffffffn]);
  const integerBit = e === 0 || r.chance(4) ? 0n : e === 0x7fff || r.chance(98) ? 1n << 63n : 0n;
  view.setBigUint64(at, e === 0 && r.chance(50) ? 0n : sig | integerBit, true);
  view.setUint16(at + 8, e | (r.below(2) << 15), true);
}

function dataOf(group: FloatGroup, r: Random, isX87: boolean): Uint8Array {
  const data = new Uint8Array(WINDOW);
  const view = new DataView(data.buffer);
  const decimal = group.insn.name === 'fbld';
  for (let at = 0; at < WINDOW; at += 16) {
    if (decimal) for (let n = 0; n < 9; n++) view.setUint8(at + n, r.below(10) * 16 + r.below(10));
    else if (isX87 && r.chance(40)) extended(r, view, at);
    else vector(r, view, at);
  }
  return data;
}

/** `masked`: no SSE exception faults (whether the mm transition is done then is not defined). */
function imageOf(r: Random, isX87: boolean, masked: boolean): Uint8Array {
  const fx = new Uint8Array(512);
  const view = new DataView(fx.buffer);
  const masks = r.chance(75) ? 0x3f : r.below(64);
  const fcw = masks | (r.pick([0, 2, 3, 3]) << 8) | (r.below(4) << 10) | 0x40;
  view.setUint16(0, isX87 ? fcw : 0x37f, true);
  view.setUint16(2, (r.below(8) << 11) | (isX87 ? r.below(2) * 0x4700 : 0), true);
  view.setUint8(4, isX87 ? (r.chance(70) ? 0xff >> r.below(4) : r.below(256)) : 0xff);
  if (isX87 && r.chance(50)) view.setUint8(4, rotated(0x0f, (view.getUint16(2, true) >> 11) & 7));
  const flags = r.chance(50) ? r.below(64) & (r.chance(50) ? 0x3f : 0x20) : 0;
  const sseMasks = masked || r.chance(75) ? 0x3f : r.below(64);
  const zeros = (r.chance(20) ? 0x40 : 0) | (r.chance(20) ? 0x8000 : 0);
  view.setUint32(24, (flags & sseMasks) | (sseMasks << 7) | (r.below(4) << 13) | zeros, true);
  for (let n = 0; n < 8; n++) extended(r, view, 32 + n * 16);
  for (let n = 0; n < 16; n++) vector(r, view, 160 + n * 16);
  return fx;
}

function rotated(byte: number, by: number): number {
  return ((byte << by) | (byte >> (8 - by))) & 0xff;
}
