// Slow paths for segment registers: MOV and POP to them, LDTR and TR, and the instructions that only ask about selectors.

import { EFER_LMA, GP, NP } from '../control-bits.ts';
import { castShadow } from '../debug.ts';
import {
  attrOf,
  baseOf,
  type Descriptor,
  DS,
  dplOf,
  ES,
  isCode,
  isNull,
  isSystem,
  LDTR,
  limitOf,
  loadSegment as loadSegmentRegister,
  peekDescriptor,
  readDescriptor,
  readUpperBase,
  SS_REG,
  SYS_CALL_GATE,
  SYS_CALL_GATE16,
  SYS_LDT,
  SYS_TASK_GATE,
  SYS_TSS,
  SYS_TSS_BUSY,
  SYS_TSS16,
  selectorFault,
  setNullSegment,
  setSegmentTo,
  TR,
  TYPE_CONFORMING,
  TYPE_RW,
} from '../descriptors.ts';
import { ATTR_P, FIELDS, GPR_AT } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

const SHADOW_MOV_SS = 2;
const RSP = 4;
const TYPE = 0xf;
const TSS_BUSY = 2;

/** Args: segment register (32), selector (32). */
export const loadSegment = defineSlow({
  name: 'load_segment',
  ref: 'SDM 2B MOV',
  run: (cx) => load(cx, cx.state.arg32(0), cx.state.arg32(1) & 0xffff),
});

/** Args: segment register (32), selector (32), RSP afterwards (64). */
export const popSegment = defineSlow({
  name: 'pop_segment',
  ref: 'SDM 2B POP',
  run(cx) {
    const { state } = cx;
    const sp = state.arg64(2);
    if (load(cx, state.arg32(0), state.arg32(1) & 0xffff)) return 1;
    state.views.u64[(state.base + GPR_AT + RSP * 8) >> 3] = sp;
    return 0;
  },
});

/** Args: segment register (32), selector (32), general register (32), its new value (64), bits (32). */
export const loadFarPointer = defineSlow({
  name: 'load_far_pointer',
  ref: 'SDM 2A LDS/LES/LFS/LGS/LSS',
  run(cx) {
    const { state } = cx;
    const register = state.arg32(2);
    const value = state.arg64(3);
    const bits = state.arg32(4);
    if (load(cx, state.arg32(0), state.arg32(1) & 0xffff)) return 1;
    if (bits === 64) state.setGpr(register, value);
    else if (bits === 32) state.setGpr32(register, Number(value & 0xffffffffn));
    else state.views.u16[(state.base + GPR_AT + register * 8) >> 1] = Number(value & 0xffffn);
    return 0;
  },
});

/** Args: selector (32). The instruction is privileged already. */
export const lldt = defineSlow({
  name: 'lldt',
  ref: 'SDM 2A LLDT',
  run(cx) {
    const { state } = cx;
    const selector = state.arg32(0) & 0xffff;
    if (isNull(selector)) {
      setNullSegment(state, LDTR, selector);
      return 0;
    }
    const d = globalDescriptor(cx, selector);
    if (d === null) return 1;
    const attr = attrOf(d);
    if (!isSystem(attr) || (attr & TYPE) !== SYS_LDT) return selectorFault(cx, GP, selector);
    if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, selector);
    const base = systemBase(cx, selector, d);
    if (base === null) return 1;
    setSegmentTo(state, LDTR, selector, base, limitOf(d), attr);
    return 0;
  },
});

/** Args: selector (32). Marks the TSS busy. */
export const ltr = defineSlow({
  name: 'ltr',
  ref: 'SDM 2A LTR',
  run(cx) {
    const { state } = cx;
    const selector = state.arg32(0) & 0xffff;
    if (isNull(selector)) return state.raise(GP, 0);
    const d = globalDescriptor(cx, selector);
    if (d === null) return 1;
    const attr = attrOf(d);
    const long = (state.get(FIELDS.efer) & EFER_LMA) !== 0;
    const type = attr & TYPE;
    const available = type === SYS_TSS || (type === SYS_TSS16 && !long);
    if (!isSystem(attr) || !available) return selectorFault(cx, GP, selector);
    if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, selector);
    const base = systemBase(cx, selector, d);
    if (base === null) return 1;
    cx.mmu.buf.setUint8(0, (d.hi >>> 8) | TSS_BUSY);
    if (!cx.mmu.write(d.at + 5, 1, 'system')) return 1;
    setSegmentTo(state, TR, selector, base, limitOf(d), attr | TSS_BUSY);
    return 0;
  },
});

/** Args: selector (32). Results: 1 if it may be asked about (32), access rights (32). */
export const lar = defineSlow({
  name: 'lar',
  ref: 'SDM 2A LAR',
  run: (cx) => answer(cx, LAR_TYPES, (d) => d.hi & 0x00f0ff00),
});

/** Args: selector (32). Results: 1 if it may be asked about (32), limit in bytes (32). */
export const lsl = defineSlow({
  name: 'lsl',
  ref: 'SDM 2A LSL',
  run: (cx) => answer(cx, LSL_TYPES, limitOf),
});

/** Args: selector (32), 1 for VERW (32). Result: ZF (32). */
export const verify = defineSlow({
  name: 'verify_segment',
  ref: 'SDM 2B VERR/VERW',
  run(cx) {
    const { state } = cx;
    const selector = state.arg32(0) & 0xffff;
    const forWrite = state.arg32(1) !== 0;
    const d = peekDescriptor(cx, selector);
    if (d === 'fault') return 1;
    state.ret32(0, d !== 'outside' && accessible(cx, d, selector, forWrite) ? 1 : 0);
    return 0;
  },
});

/** System types that LAR and LSL know; in IA-32e mode only the LDT, the TSS and (LAR) the call gate are left. */
const LAR_TYPES = [1, 2, 3, SYS_CALL_GATE16, SYS_TASK_GATE, SYS_TSS, SYS_TSS_BUSY, SYS_CALL_GATE];
const LSL_TYPES = [1, 2, 3, SYS_TSS, SYS_TSS_BUSY];
const LONG_TYPES = [SYS_LDT, SYS_TSS, SYS_TSS_BUSY, SYS_CALL_GATE];

function load(cx: Cx, n: number, selector: number): 0 | 1 {
  if (loadSegmentRegister(cx, n, selector)) return 1;
  // Whether ES and DS are flat is part of the mode.
  if ((n === ES || n === DS) && cx.state.get(FIELDS.codeMode) !== 64) cx.modeChanged();
  if (n !== SS_REG) return 0;
  // Interrupts wait for one instruction, so that SS and SP change together. SDM 2B MOV. The stack size may have changed.
  cx.modeChanged();
  castShadow(cx, SHADOW_MOV_SS);
  return 0;
}

function globalDescriptor(cx: Cx, selector: number): Descriptor | null {
  if ((selector & 4) === 0) return readDescriptor(cx, selector, GP);
  selectorFault(cx, GP, selector);
  return null;
}

function systemBase(cx: Cx, selector: number, d: Descriptor): number | null {
  if ((cx.state.get(FIELDS.efer) & EFER_LMA) === 0) return baseOf(d);
  const upper = readUpperBase(cx, selector, GP);
  return upper === null ? null : upper * 4294967296 + baseOf(d);
}

function answer(cx: Cx, types: readonly number[], value: (d: Descriptor) => number): 0 | 1 {
  const { state } = cx;
  const selector = state.arg32(0) & 0xffff;
  const d = peekDescriptor(cx, selector);
  if (d === 'fault') return 1;
  const known = d !== 'outside' && visible(cx, d, selector, types);
  state.ret32(0, known ? 1 : 0);
  state.ret32(1, known ? value(d) : 0);
  return 0;
}

function visible(cx: Cx, d: Descriptor, selector: number, types: readonly number[]): boolean {
  const attr = attrOf(d);
  if (isSystem(attr)) {
    const type = attr & TYPE;
    if (!types.includes(type)) return false;
    if (cx.state.get(FIELDS.efer) & EFER_LMA && !LONG_TYPES.includes(type)) return false;
  }
  return reachable(cx, attr, selector);
}

function reachable(cx: Cx, attr: number, selector: number): boolean {
  if (isCode(attr) && attr & TYPE_CONFORMING) return true;
  return dplOf(attr) >= Math.max(cx.state.get(FIELDS.cpl), selector & 3);
}

function accessible(cx: Cx, d: Descriptor, selector: number, forWrite: boolean): boolean {
  const attr = attrOf(d);
  if (isSystem(attr) || !reachable(cx, attr, selector)) return false;
  const permitted = (attr & TYPE_RW) !== 0;
  return isCode(attr) ? !forWrite && permitted : !forWrite || permitted;
}
