// XSAVE, XSAVEOPT, XSAVEC and XRSTOR for the two state components we have: x87 and SSE. SDM 1 chapter 13.

import { updateSummary } from '../fpu-fault.ts';
import { ST_AT, type State, XMM_AT } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';
import {
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  MXCSR_MASK,
  putControl,
  putMxcsr,
  putStack,
  putXmm,
  takeControl,
  takeStack,
  takeXmm,
  xmmCount,
} from './fxsave.ts';
import { FCW_INIT, resetX87 } from './x87-registers.ts';

const GP = 13;
const X87 = 1n;
const SSE = 2n;
/** AVX state covers MXCSR too. */
const AVX = 4n;
const HEADER = 512;
const HEADER_BYTES = 64;
export const XSAVE_BYTES = HEADER + HEADER_BYTES;
const XCOMP_BV = 8;
const COMPACTED = 1n << 63n;
const MXCSR_INIT = 0x1f80;

/** What the second argument tells. */
export const XSAVE_PLAIN = 0;
export const XSAVE_OPT = 1;
export const XSAVE_COMPACT = 2;

/** Components that are not in their initial configuration. SDM 1 13.6. */
function inUse(cx: Cx): bigint {
  return (x87InUse(cx.state) ? X87 : 0n) | (xmmInUse(cx) ? SSE : 0n);
}

function x87InUse(state: State): boolean {
  if (state.get('fcw') !== FCW_INIT || state.get('fsw') !== 0 || state.get('ftw') !== 0)
    return true;
  if (state.get('fop') !== 0 || state.getVa('fip') !== 0 || state.getVa('fdp') !== 0) return true;
  const { u16, u32 } = state.views;
  for (let at = state.base + ST_AT; at < state.base + ST_AT + 8 * 16; at += 16)
    if (u32[at >> 2] !== 0 || u32[(at >> 2) + 1] !== 0 || u16[(at + 8) >> 1] !== 0) return true;
  return false;
}

function xmmInUse(cx: Cx): boolean {
  const { views, base } = cx.state;
  const words = xmmCount(cx) * 4;
  for (let i = 0; i < words; i++) if (views.u32[((base + XMM_AT) >> 2) + i] !== 0) return true;
  return false;
}

/** Result: XCR0 AND XINUSE (32). SDM 2C XGETBV. */
export const xinuse = defineSlow({
  name: 'xinuse',
  ref: 'SDM 1 13.6',
  run(cx) {
    cx.state.ret32(0, Number(inUse(cx)) & cx.state.get('xcr0'));
    return 0;
  },
});

/** Writes `bytes` of the buffer, which holds a whole image, from offset `at` on. */
function writePart(cx: Cx, image: Uint8Array, va: number, at: number, bytes: number): boolean {
  const { buf } = cx.mmu;
  for (let i = 0; i < bytes; i++) buf.setUint8(i, image[at + i] as number);
  return cx.mmu.write(va + at, bytes, 'current');
}

/** The requested components: EDX:EAX and XCR0. Argument 2 is EDX:EAX. */
function requested(state: State): bigint {
  return state.arg64(2) & BigInt(state.get('xcr0'));
}

/** Arguments: linear address, kind + 4 for the 64-bit form, EDX:EAX. */
export const xsave = defineSlow({
  name: 'xsave',
  ref: 'SDM 1 13.7 to 13.10',
  run(cx) {
    const { state, mmu } = cx;
    const va = state.argVa(0);
    if (va % 64 !== 0) return state.raise(GP, 0);
    const kind = state.arg32(1) & 3;
    const rfbm = requested(state);
    const used =
      inUse(cx) | (kind === XSAVE_COMPACT && state.get('mxcsr') !== MXCSR_INIT ? SSE : 0n);
    if (!mmu.probe(va, XSAVE_BYTES, 'current')) return 1;
    if (!mmu.read(va + HEADER, 8, 'current')) return 1;
    const old = mmu.buf.getBigUint64(0, true);
    const stored = kind === XSAVE_PLAIN ? rfbm : rfbm & used;
    const image = imageOf(cx, (state.arg32(1) & 4) !== 0);
    const header = new DataView(image.buffer);
    const kept = kind === XSAVE_COMPACT ? 0n : old & ~rfbm;
    header.setBigUint64(HEADER, kept | (rfbm & used), true);
    header.setBigUint64(HEADER + XCOMP_BV, rfbm | COMPACTED, true);
    return writeParts(cx, image, va, kind, rfbm, stored) ? 0 : 1;
  },
});

function imageOf(cx: Cx, wide: boolean): Uint8Array {
  const image = new Uint8Array(XSAVE_BYTES);
  const view = new DataView(image.buffer);
  putControl(cx.state, view, wide);
  putMxcsr(cx.state, view, FX_MXCSR);
  putStack(cx.state, view, FX_ST);
  putXmm(cx, view, FX_XMM);
  return image;
}

function writeParts(
  cx: Cx,
  image: Uint8Array,
  va: number,
  kind: number,
  rfbm: bigint,
  stored: bigint,
): boolean {
  const part = (at: number, bytes: number) => writePart(cx, image, va, at, bytes);
  const compact = kind === XSAVE_COMPACT;
  if (stored & X87 && !(part(0, FX_MXCSR) && part(FX_ST, FX_XMM - FX_ST))) return false;
  const mxcsr = compact ? stored & SSE : rfbm & (SSE | AVX);
  if (mxcsr && !part(FX_MXCSR, 8)) return false;
  if (stored & SSE && !part(FX_XMM, xmmCount(cx) * 16)) return false;
  return part(HEADER, compact ? 16 : 8);
}

/** Whether the header is one that XRSTOR accepts. SDM 1 13.8. */
function headerValid(header: DataView, xcr0: bigint): boolean {
  const bv = header.getBigUint64(HEADER, true);
  const comp = header.getBigUint64(HEADER + XCOMP_BV, true);
  const compact = (comp & COMPACTED) !== 0n;
  if (!compact && comp !== 0n) return false;
  const allowed = compact ? comp & ~COMPACTED & xcr0 : xcr0;
  if (compact && (comp & ~COMPACTED & ~xcr0) !== 0n) return false;
  if ((bv & ~allowed) !== 0n) return false;
  const end = compact ? HEADER_BYTES : 24;
  for (let i = 16; i < end; i++) if (header.getUint8(HEADER + i) !== 0) return false;
  return true;
}

/** Arguments: linear address, 4 for the 64-bit form, EDX:EAX. */
export const xrstor = defineSlow({
  name: 'xrstor',
  ref: 'SDM 1 13.8',
  run(cx) {
    const { state } = cx;
    const va = state.argVa(0);
    if (va % 64 !== 0) return state.raise(GP, 0);
    if (!cx.mmu.read(va, XSAVE_BYTES, 'current')) return 1;
    const { buf } = cx.mmu;
    if (!headerValid(buf, BigInt(state.get('xcr0')))) return state.raise(GP, 0);
    const bv = buf.getBigUint64(HEADER, true);
    const compact = (buf.getBigUint64(HEADER + XCOMP_BV, true) & COMPACTED) !== 0n;
    const rfbm = requested(state);
    const loadsMxcsr = compact ? rfbm & SSE & bv : rfbm & (SSE | AVX);
    const mxcsr = buf.getUint32(FX_MXCSR, true);
    if (loadsMxcsr && (mxcsr & ~MXCSR_MASK) !== 0) return state.raise(GP, 0);
    restore(cx, rfbm, bv, (state.arg32(1) & 4) !== 0);
    if (loadsMxcsr) state.set('mxcsr', mxcsr);
    else if (compact && rfbm & SSE) state.set('mxcsr', MXCSR_INIT);
    return 0;
  },
});

function restore(cx: Cx, rfbm: bigint, bv: bigint, wide: boolean): void {
  const { state, mmu } = cx;
  if (rfbm & X87) {
    if (bv & X87) {
      takeControl(state, mmu.buf, wide);
      takeStack(state, mmu.buf, FX_ST);
    } else resetX87(state);
    updateSummary(state);
  }
  if (!(rfbm & SSE)) return;
  if (bv & SSE) takeXmm(cx, mmu.buf, FX_XMM);
  else {
    const first = (state.base + XMM_AT) >> 3;
    state.views.u64.fill(0n, first, first + xmmCount(cx) * 2);
  }
}
