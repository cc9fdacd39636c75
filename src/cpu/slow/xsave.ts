// XSAVE, XSAVEOPT, XSAVEC and XRSTOR for the two state components we have: x87 and SSE. SDM 1 chapter 13.

import { updateSummary } from '../fpu-fault.ts';
import { FIELDS, ST_AT, type State, XMM_AT } from '../state.ts';
import { hit } from './bulk.ts';
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
/** Components, in the low half of masks: no bit above 31 is ever allowed but `COMPACTED_HI` in XCOMP_BV. */
const X87 = 1;
const SSE = 2;
/** AVX state covers MXCSR too. */
const AVX = 4;
const HEADER = 512;
const HEADER_BYTES = 64;
export const XSAVE_BYTES = HEADER + HEADER_BYTES;
const XCOMP_BV = 8;
/** Bit 63. */
const COMPACTED_HI = 0x80000000;
const MXCSR_INIT = 0x1f80;
/** Tags of a TLB entry, see `hit`. */
const READ_TAG = 0;
const WRITE_TAG = 8;

/** What the second argument tells. */
export const XSAVE_PLAIN = 0;
export const XSAVE_OPT = 1;
export const XSAVE_COMPACT = 2;
const WIDE = 4;

/** Components that are not in their initial configuration. SDM 1 13.6. */
function inUse(cx: Cx): number {
  return (x87InUse(cx.state) ? X87 : 0) | (xmmInUse(cx) ? SSE : 0);
}

function x87InUse(state: State): boolean {
  if (state.get(FIELDS.fcw) !== FCW_INIT) return true;
  if (state.get(FIELDS.fsw) !== 0 || state.get(FIELDS.ftw) !== 0) return true;
  if (state.get(FIELDS.fop) !== 0) return true;
  if (state.getVa(FIELDS.fip) !== 0 || state.getVa(FIELDS.fdp) !== 0) return true;
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
    cx.state.ret32(0, inUse(cx) & cx.state.get(FIELDS.xcr0));
    return 0;
  },
});

/** The requested components: EDX:EAX and XCR0. Argument 2 is EDX:EAX. */
function requested(state: State): number {
  return state.arg32(2) & state.get(FIELDS.xcr0);
}

/** Where the area lies in linear memory, if it is in one page that the TLB maps for this; 0: not. */
function areaHit(state: State, va: number, tag: number): number {
  return (va & 0xfff) + XSAVE_BYTES > 0x1000 ? 0 : hit(state, va, tag);
}

/** Arguments: linear address, kind + 4 for the 64-bit form, EDX:EAX. */
export const xsave = defineSlow({
  name: 'xsave',
  ref: 'SDM 1 13.7 to 13.10',
  run(cx) {
    const { state, mmu } = cx;
    const va = state.argVa(0);
    if (va % 64 !== 0) return state.raise(GP, 0);
    const at = areaHit(state, va, WRITE_TAG);
    if (at !== 0) {
      saveTo(cx, state.views.data, at);
      return 0;
    }
    if (!mmu.probe(va, XSAVE_BYTES, 'current')) return 1;
    if (!mmu.read(va, XSAVE_BYTES, 'current')) return 1;
    saveTo(cx, mmu.buf, 0);
    return mmu.write(va, XSAVE_BYTES, 'current') ? 0 : 1;
  },
});

/** Changes the area that begins at `at` of `out` as XSAVE and its kin do; bytes that they leave alone stay. */
function saveTo(cx: Cx, out: DataView, at: number): void {
  const { state } = cx;
  const kind = state.arg32(1) & 3;
  const wide = (state.arg32(1) & WIDE) !== 0;
  const compact = kind === XSAVE_COMPACT;
  const rfbm = requested(state);
  const used = inUse(cx) | (compact && state.get(FIELDS.mxcsr) !== MXCSR_INIT ? SSE : 0);
  const stored = kind === XSAVE_PLAIN ? rfbm : rfbm & used;
  if (stored & X87) {
    putControl(state, out, wide, at);
    putStack(state, out, at + FX_ST);
  }
  if (compact ? stored & SSE : rfbm & (SSE | AVX)) putMxcsr(state, out, at + FX_MXCSR);
  if (stored & SSE) putXmm(cx, out, at + FX_XMM);
  const header = at + HEADER;
  const kept = compact ? 0 : out.getUint32(header, true) & ~rfbm;
  out.setUint32(header, kept | (rfbm & used), true);
  if (!compact) return;
  out.setUint32(header + 4, 0, true);
  out.setUint32(header + XCOMP_BV, rfbm, true);
  out.setUint32(header + XCOMP_BV + 4, COMPACTED_HI, true);
}

/** Whether the header of the area at `at` is one that XRSTOR accepts. SDM 1 13.8. */
function headerValid(area: DataView, at: number, xcr0: number): boolean {
  const header = at + HEADER;
  const comp = area.getUint32(header + XCOMP_BV, true);
  const compHigh = area.getUint32(header + XCOMP_BV + 4, true);
  const compact = compHigh === COMPACTED_HI;
  if (!compact && (comp !== 0 || compHigh !== 0)) return false;
  if (compact && (comp & ~xcr0) !== 0) return false;
  const allowed = compact ? comp & xcr0 : xcr0;
  if (area.getUint32(header + 4, true) !== 0) return false;
  if ((area.getUint32(header, true) & ~allowed) !== 0) return false;
  const end = compact ? HEADER_BYTES : 24;
  for (let i = 16; i < end; i += 4) if (area.getUint32(header + i, true) !== 0) return false;
  return true;
}

/** Arguments: linear address, 4 for the 64-bit form, EDX:EAX. */
export const xrstor = defineSlow({
  name: 'xrstor',
  ref: 'SDM 1 13.8',
  run(cx) {
    const { state, mmu } = cx;
    const va = state.argVa(0);
    if (va % 64 !== 0) return state.raise(GP, 0);
    const at = areaHit(state, va, READ_TAG);
    if (at !== 0) return restoreFrom(cx, state.views.data, at);
    return mmu.read(va, XSAVE_BYTES, 'current') ? restoreFrom(cx, mmu.buf, 0) : 1;
  },
});

function restoreFrom(cx: Cx, area: DataView, at: number): 0 | 1 {
  const { state } = cx;
  if (!headerValid(area, at, state.get(FIELDS.xcr0))) return state.raise(GP, 0);
  const bv = area.getUint32(at + HEADER, true);
  const compact = area.getUint32(at + HEADER + XCOMP_BV + 4, true) !== 0;
  const rfbm = requested(state);
  const loadsMxcsr = compact ? rfbm & SSE & bv : rfbm & (SSE | AVX);
  const mxcsr = area.getUint32(at + FX_MXCSR, true);
  if (loadsMxcsr && (mxcsr & ~MXCSR_MASK) !== 0) return state.raise(GP, 0);
  restore(cx, rfbm, bv, area, at);
  if (loadsMxcsr) state.set(FIELDS.mxcsr, mxcsr);
  else if (compact && rfbm & SSE) state.set(FIELDS.mxcsr, MXCSR_INIT);
  return 0;
}

function restore(cx: Cx, rfbm: number, bv: number, area: DataView, at: number): void {
  const { state } = cx;
  if (rfbm & X87) {
    if (bv & X87) {
      takeControl(state, area, (state.arg32(1) & WIDE) !== 0, at);
      takeStack(state, area, at + FX_ST);
    } else resetX87(state);
    updateSummary(state);
  }
  if (!(rfbm & SSE)) return;
  if (bv & SSE) takeXmm(cx, area, at + FX_XMM);
  else {
    const first = (state.base + XMM_AT) >> 2;
    state.views.u32.fill(0, first, first + xmmCount(cx) * 4);
  }
}
