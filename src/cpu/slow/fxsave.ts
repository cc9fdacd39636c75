// The FXSAVE image, and the slow paths of FXSAVE and FXRSTOR. SDM 1 10.5.

import { updateSummary } from '../fpu-fault.ts';
import { ST_AT, type State, XMM_AT } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';
import { physical, setControlWord } from './x87-registers.ts';

/** Offsets within the image. */
export const FX_MXCSR = 24;
export const FX_ST = 32;
export const FX_XMM = 160;
/** FXSAVE leaves the bytes from here on alone. SDM 1 table 10-2. */
export const FX_USED = 416;
export const MXCSR_MASK = 0xffff;
const GP = 13;

const STATUS_WORD = 2;
const TAGS = 4;
const OPCODE = 6;
const FIP = 8;
const FDP = 16;

/** Bytes 0..23: control words and pointers. Selectors of FIP and FDP are zero, as CPUID.7.EBX[13] announces. */
export function putControl(state: State, out: DataView, wide: boolean): void {
  out.setUint16(0, state.get('fcw'), true);
  out.setUint16(STATUS_WORD, state.get('fsw'), true);
  out.setUint16(TAGS, state.get('ftw') & 0xff, true);
  out.setUint16(OPCODE, state.get('fop'), true);
  const width = wide ? 64 : 32;
  out.setBigUint64(FIP, BigInt.asUintN(width, state.get64('fip')), true);
  out.setBigUint64(FDP, BigInt.asUintN(width, state.get64('fdp')), true);
}

export function takeControl(state: State, from: DataView, wide: boolean): void {
  const width = wide ? 64 : 32;
  state.set('fsw', from.getUint16(STATUS_WORD, true));
  state.set('ftw', from.getUint8(TAGS));
  state.set('fop', from.getUint16(OPCODE, true) & 0x7ff);
  state.set64('fip', BigInt.asUintN(width, from.getBigUint64(FIP, true)));
  state.set64('fdp', BigInt.asUintN(width, from.getBigUint64(FDP, true)));
  setControlWord(state, from.getUint16(0, true));
}

/** Eight registers of 16 bytes, in stack order. */
export function putStack(state: State, out: DataView, at: number): void {
  const { u16, u32 } = state.views;
  for (let i = 0; i < 8; i++) {
    const from = state.base + ST_AT + physical(state, i) * 16;
    out.setUint32(at + i * 16, u32[from >> 2] as number, true);
    out.setUint32(at + i * 16 + 4, u32[(from >> 2) + 1] as number, true);
    out.setUint32(at + i * 16 + 8, u16[(from + 8) >> 1] as number, true);
    out.setUint32(at + i * 16 + 12, 0, true);
  }
}

export function takeStack(state: State, from: DataView, at: number): void {
  const { u16, u32 } = state.views;
  for (let i = 0; i < 8; i++) {
    const to = state.base + ST_AT + physical(state, i) * 16;
    u32[to >> 2] = from.getUint32(at + i * 16, true);
    u32[(to >> 2) + 1] = from.getUint32(at + i * 16 + 4, true);
    u16[(to + 8) >> 1] = from.getUint16(at + i * 16 + 8, true);
  }
}

export function putMxcsr(state: State, out: DataView, at: number): void {
  out.setUint32(at, state.get('mxcsr'), true);
  out.setUint32(at + 4, MXCSR_MASK, true);
}

/** How many xmm registers code of this mode can name. */
export function xmmCount(cx: Cx): number {
  return cx.insn.mode === 64 ? 16 : 8;
}

export function putXmm(cx: Cx, out: DataView, at: number): void {
  const { views, base } = cx.state;
  const words = xmmCount(cx) * 4;
  for (let i = 0; i < words; i++)
    out.setUint32(at + i * 4, views.u32[((base + XMM_AT) >> 2) + i] as number, true);
}

export function takeXmm(cx: Cx, from: DataView, at: number): void {
  const { views, base } = cx.state;
  const words = xmmCount(cx) * 4;
  for (let i = 0; i < words; i++)
    views.u32[((base + XMM_AT) >> 2) + i] = from.getUint32(at + i * 4, true);
}

function misaligned(va: number, bytes: number): boolean {
  return va % bytes !== 0;
}

/** Arguments: linear address, 1 for the 64-bit form. */
export const fxsave = defineSlow({
  name: 'fxsave',
  ref: 'SDM 2A FXSAVE',
  run(cx) {
    const va = cx.state.argVa(0);
    if (misaligned(va, 16)) return cx.state.raise(GP, 0);
    const { buf } = cx.mmu;
    const bytes = FX_XMM + xmmCount(cx) * 16;
    putControl(cx.state, buf, cx.state.arg32(1) === 1);
    putMxcsr(cx.state, buf, FX_MXCSR);
    putStack(cx.state, buf, FX_ST);
    putXmm(cx, buf, FX_XMM);
    return cx.mmu.write(va, bytes, 'current') ? 0 : 1;
  },
});

export const fxrstor = defineSlow({
  name: 'fxrstor',
  ref: 'SDM 2A FXRSTOR',
  run(cx) {
    const { state } = cx;
    const va = state.argVa(0);
    if (misaligned(va, 16)) return state.raise(GP, 0);
    const { buf } = cx.mmu;
    if (!cx.mmu.read(va, FX_USED, 'current')) return 1;
    const mxcsr = buf.getUint32(FX_MXCSR, true);
    if ((mxcsr & ~MXCSR_MASK) !== 0) return state.raise(GP, 0);
    takeControl(state, buf, state.arg32(1) === 1);
    takeStack(state, buf, FX_ST);
    state.set('mxcsr', mxcsr);
    takeXmm(cx, buf, FX_XMM);
    updateSummary(state);
    return 0;
  },
});
