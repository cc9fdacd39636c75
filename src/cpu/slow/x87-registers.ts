// The x87 register stack within the state: physical and stack-relative access, tags, initial values.

import { recomputeFpuFaults, updateSummary } from '../fpu-fault.ts';
import type { Extended } from '../softfloat/number.ts';
import { FIELDS, ST_AT, type State } from '../state.ts';

export type { Extended };

export const FCW_INIT = 0x37f;
/** Bits of the control word that can be written; bit 6 reads as one. SDM 1 8.1.5. */
const FCW_BITS = 0x1f3f;
const FCW_ONE = 0x40;
const TOP_SHIFT = 11;
export const FSW_TOP = 7 << TOP_SHIFT;

export function topOf(state: State): number {
  return (state.get(FIELDS.fsw) >> TOP_SHIFT) & 7;
}
export function setTop(state: State, top: number): void {
  state.set(FIELDS.fsw, (state.get(FIELDS.fsw) & ~FSW_TOP) | ((top & 7) << TOP_SHIFT));
}
/** The physical register that ST(i) is. */
export function physical(state: State, i: number): number {
  return (topOf(state) + i) & 7;
}

export function readPhysical(state: State, n: number): Extended {
  const at = state.base + ST_AT + n * 16;
  return { se: state.views.u16[(at + 8) >> 1] as number, sig: state.views.u64[at >> 3] as bigint };
}
export function writePhysical(state: State, n: number, v: Extended): void {
  const at = state.base + ST_AT + n * 16;
  state.views.u64[at >> 3] = v.sig;
  state.views.u16[(at + 8) >> 1] = v.se;
}

export function isEmpty(state: State, i: number): boolean {
  return ((state.get(FIELDS.ftw) >> physical(state, i)) & 1) === 0;
}
export function readSt(state: State, i: number): Extended {
  return readPhysical(state, physical(state, i));
}
/** Writes ST(i) and tags it valid. */
export function writeSt(state: State, i: number, v: Extended): void {
  const n = physical(state, i);
  writePhysical(state, n, v);
  state.set(FIELDS.ftw, state.get(FIELDS.ftw) | (1 << n));
}
export function freeSt(state: State, i: number): void {
  state.set(FIELDS.ftw, state.get(FIELDS.ftw) & ~(1 << physical(state, i)));
}

export function setControlWord(state: State, fcw: number): void {
  state.set(FIELDS.fcw, (fcw & FCW_BITS) | FCW_ONE);
  updateSummary(state);
}

/** FNINIT: control, status and tags; the registers keep their bits. SDM 2A FINIT. */
export function initX87(state: State): void {
  state.set(FIELDS.fcw, FCW_INIT);
  state.set(FIELDS.fsw, 0);
  state.set(FIELDS.ftw, 0);
  state.set(FIELDS.fop, 0);
  state.setVa(FIELDS.fip, 0);
  state.setVa(FIELDS.fdp, 0);
  recomputeFpuFaults(state);
}

/** The initial configuration of XSAVE's x87 component: registers too. SDM 1 13.6. */
export function resetX87(state: State): void {
  initX87(state);
  const { u16, u32 } = state.views;
  for (let at = state.base + ST_AT; at < state.base + ST_AT + 8 * 16; at += 16) {
    u32[at >> 2] = 0;
    u32[(at >> 2) + 1] = 0;
    u16[(at + 8) >> 1] = 0;
  }
}

const TAG_VALID = 0;
const TAG_ZERO = 1;
const TAG_SPECIAL = 2;
const TAG_EMPTY = 3;

function tagOf(v: Extended): number {
  const exponent = v.se & 0x7fff;
  if (exponent === 0) return v.sig === 0n ? TAG_ZERO : TAG_SPECIAL;
  return exponent === 0x7fff || v.sig >> 63n === 0n ? TAG_SPECIAL : TAG_VALID;
}

/** The full tag word, two bits a register, as FNSTENV stores it. SDM 1 8.1.7. */
export function fullTags(state: State): number {
  let tags = 0;
  for (let n = 0; n < 8; n++) {
    const valid = (state.get(FIELDS.ftw) >> n) & 1;
    tags |= (valid ? tagOf(readPhysical(state, n)) : TAG_EMPTY) << (2 * n);
  }
  return tags;
}

export function setFullTags(state: State, tags: number): void {
  let ftw = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) !== TAG_EMPTY) ftw |= 1 << n;
  state.set(FIELDS.ftw, ftw);
}
