// The FXSAVE image, and the slow paths of FXSAVE and FXRSTOR. SDM 1 10.5.

import { updateSummary } from '../fpu-fault.ts';
import { FIELDS, ST_AT, type State, XMM_AT } from '../state.ts';
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

/** Bytes 0..23 of the image at `at`: control words and pointers. Selectors of FIP and FDP are zero, as CPUID.7.EBX[13] announces. */
export function putControl(state: State, out: DataView, wide: boolean, at = 0): void {
  out.setUint16(at, state.get(FIELDS.fcw), true);
  out.setUint16(at + STATUS_WORD, state.get(FIELDS.fsw), true);
  out.setUint16(at + TAGS, state.get(FIELDS.ftw) & 0xff, true);
  out.setUint16(at + OPCODE, state.get(FIELDS.fop), true);
  putPointer(state, FIELDS.fip.at, out, at + FIP, wide);
  putPointer(state, FIELDS.fdp.at, out, at + FDP, wide);
}

function putPointer(state: State, field: number, out: DataView, at: number, wide: boolean): void {
  const { u32 } = state.views;
  const i = (state.base + field) >> 2;
  out.setUint32(at, u32[i] as number, true);
  out.setUint32(at + 4, wide ? (u32[i + 1] as number) : 0, true);
}

export function takeControl(state: State, from: DataView, wide: boolean, at = 0): void {
  state.set(FIELDS.fsw, from.getUint16(at + STATUS_WORD, true));
  state.set(FIELDS.ftw, from.getUint8(at + TAGS));
  state.set(FIELDS.fop, from.getUint16(at + OPCODE, true) & 0x7ff);
  takePointer(state, FIELDS.fip.at, from, at + FIP, wide);
  takePointer(state, FIELDS.fdp.at, from, at + FDP, wide);
  setControlWord(state, from.getUint16(at, true));
}

function takePointer(state: State, field: number, from: DataView, at: number, wide: boolean): void {
  const { u32 } = state.views;
  const i = (state.base + field) >> 2;
  u32[i] = from.getUint32(at, true);
  u32[i + 1] = wide ? from.getUint32(at + 4, true) : 0;
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
  out.setUint32(at, state.get(FIELDS.mxcsr), true);
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
    state.set(FIELDS.mxcsr, mxcsr);
    takeXmm(cx, buf, FX_XMM);
    updateSummary(state);
    return 0;
  },
});
