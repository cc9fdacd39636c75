// How the reference reaches memory: effective and linear addresses, segment checks, the data TLB, the MMU's slow functions.

import type { Decoded } from '../decoded.ts';
import type { SegRef } from '../isa/ir.ts';
import { checkSegment } from '../segment-check.ts';
import type { Cx } from '../slow/define.ts';
import { DATA_TLB_STRIDE, dataTlbIndex, SCRATCH_AT, type State } from '../state.ts';
import { signed, unsigned } from './integers.ts';

const SEG_SS = 2;
const SEG_FS = 4;
const GP = 13;

/** An access to `bytes` at `offset` in segment `seg`. */
export interface Access {
  readonly seg: SegRef;
  readonly offset: bigint;
  readonly bytes: number;
  /** Checked as a write. */
  readonly writes: boolean;
  /** #GP(0) unless aligned to its size. */
  readonly aligned: boolean;
}

/** Offset of the memory operand within its segment, zero-extended from the address size. */
export function effectiveAddress(state: State, d: Decoded): bigint {
  const register = (n: number) => (n < 0 ? 0n : state.gpr(n));
  const disp = (BigInt(d.dispHi) << 32n) + BigInt(d.disp >>> 0);
  const base = d.ripRelative ? nextRip(state, d) : register(d.base);
  return unsigned(base + (register(d.index) << BigInt(d.scale)) + disp, d.variant.asize);
}

/** RIP of the next instruction. */
export function nextRip(state: State, d: Decoded): bigint {
  return unsigned(state.get64('rip') + BigInt(d.length), d.variant.mode === 64 ? 64 : 32);
}

/** The linear address as the signed number that the MMU takes; null: a segment check has raised a fault. */
export function linearAddress(cx: Cx, d: Decoded, a: Access): bigint | null {
  const { state } = cx;
  if (a.seg === -1) return signed(a.offset, 64);
  const seg = a.seg === 'operand' ? d.segment : a.seg;
  if (d.variant.mode === 64) {
    const base = seg >= SEG_FS ? BigInt(state.segBase(seg)) : 0n;
    return signed(base + a.offset, 64);
  }
  if (checkSegment(state, seg, Number(a.offset), a.bytes, a.writes)) return null;
  return unsigned(BigInt(state.segBase(seg)) + a.offset, 32);
}

/**
 * Address in linear memory at which the bytes can be read (for `writes`: and written back, unless it is SCRATCH);
 * null: faulted.
 */
export function locate(cx: Cx, d: Decoded, a: Access): number | null {
  const va = checkedAddress(cx, d, a);
  if (va === null) return null;
  const hit = tlbHit(cx.state, va, a.bytes, a.writes);
  if (hit !== null) return hit;
  const slow = a.writes ? cx.mmu.rmwSlow : cx.mmu.loadSlow;
  return slow.call(cx.mmu, Number(va), a.bytes, stackFlag(d, a.seg)) || null;
}

/** Writes; false: faulted. `host`: where `locate` found the same bytes. */
export function store(
  cx: Cx,
  d: Decoded,
  a: Access,
  value: bigint,
  host: number | null = null,
): boolean {
  const va = checkedAddress(cx, d, a);
  if (va === null) return false;
  const scratch = cx.state.base + SCRATCH_AT;
  const at = host ?? tlbHit(cx.state, va, a.bytes, true) ?? scratch;
  writeBytes(cx.state, at, a.bytes, value);
  return at !== scratch || cx.mmu.storeSlow(Number(va), a.bytes, stackFlag(d, a.seg)) === 0;
}

/** Faults as a write would; false: faulted. */
export function probe(cx: Cx, d: Decoded, a: Access): boolean {
  const va = checkedAddress(cx, d, a);
  if (va === null) return false;
  if (tlbHit(cx.state, va, a.bytes, true) !== null) return true;
  return cx.mmu.probeSlow(Number(va), a.bytes, stackFlag(d, a.seg)) === 0;
}

function checkedAddress(cx: Cx, d: Decoded, a: Access): bigint | null {
  const va = linearAddress(cx, d, a);
  if (va === null || !a.aligned || unsigned(va, 64) % BigInt(a.bytes) === 0n) return va;
  cx.state.raise(GP, 0);
  return null;
}

function stackFlag(d: Decoded, seg: SegRef): 0 | 1 {
  return (seg === 'operand' ? d.segment : seg) === SEG_SS ? 1 : 0;
}

/** Address in linear memory of the bytes at `va`, when the data TLB has the page that holds the first and the last of them. */
export function tlbHit(state: State, va: bigint, bytes: number, writes: boolean): number | null {
  const page = signed(va + BigInt(bytes) - 1n, 64) & ~0xfffn;
  const entry = state.get('dataTlb') + dataTlbIndex(Number(unsigned(va, 32))) * DATA_TLB_STRIDE;
  const tag = state.views.i64[(entry + (writes ? 8 : 0)) >> 3];
  if (tag !== page) return null;
  const addend = BigInt(state.views.u32[(entry + 16) >> 2] as number);
  return Number(unsigned(va + addend, 32));
}

export function readBytes(state: State, at: number, bytes: number): bigint {
  const { u8, data } = state.views;
  if (bytes === 8) return data.getBigUint64(at, true);
  if (bytes === 4) return BigInt(data.getUint32(at, true));
  let value = 0n;
  for (let n = bytes - 1; n >= 0; n--) value = (value << 8n) | BigInt(u8[at + n] ?? 0);
  return value;
}

export function writeBytes(state: State, at: number, bytes: number, value: bigint): void {
  const { u8, data } = state.views;
  if (bytes === 8) data.setBigUint64(at, value, true);
  else if (bytes === 4) data.setUint32(at, Number(value & 0xffffffffn), true);
  else for (let n = 0; n < bytes; n++) u8[at + n] = Number((value >> BigInt(8 * n)) & 0xffn);
}
