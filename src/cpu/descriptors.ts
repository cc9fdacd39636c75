// Segment descriptors: reading them from the GDT and LDT, and loading segment registers with the checks of SDM 3A 5.

import { CR0_PE, EFLAGS_VM, GP, NP, SS } from './control-bits.ts';
import type { Cx } from './slow/define.ts';
import {
  ATTR_D,
  ATTR_DPL_SHIFT,
  ATTR_G,
  ATTR_L,
  ATTR_NULL,
  ATTR_P,
  ATTR_S,
  FIELDS,
  SEG_ATTR,
  SEG_LIMIT,
  SEG_SELECTOR,
  type State,
} from './state.ts';

/** Segment registers, as `State.seg` numbers them. */
export const ES = 0;
export const CS = 1;
export const SS_REG = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;

/** Type bits of code and data segments. SDM 3A table 3-1. */
export const TYPE_ACCESSED = 1;
export const TYPE_RW = 2;
export const TYPE_CONFORMING = 4;
export const TYPE_EXPAND_DOWN = 4;
export const TYPE_CODE = 8;

/** Types of system descriptors. SDM 3A table 3-2. */
export const SYS_TSS16 = 1;
export const SYS_LDT = 2;
export const SYS_CALL_GATE16 = 4;
export const SYS_TASK_GATE = 5;
export const SYS_TSS = 9;
export const SYS_TSS_BUSY = 11;
export const SYS_CALL_GATE = 12;

/** Flat segments, as SYSCALL and its relatives load them without a descriptor. SDM 2B SYSCALL. */
export const FLAT_CODE64 = 0x9b | ATTR_L | ATTR_G;
export const FLAT_CODE32 = 0x9b | ATTR_D | ATTR_G;
export const FLAT_DATA = 0x93 | ATTR_D | ATTR_G;
export const DPL3 = 3 << ATTR_DPL_SHIFT;
/** What a segment has in virtual-8086 mode. SDM 3A 21.2.2. */
const VM86_DATA = 0xf3;

export interface Descriptor {
  /** Linear address of the entry. */
  readonly at: number;
  readonly lo: number;
  readonly hi: number;
}

export const isNull = (selector: number) => (selector & 0xfffc) === 0;
export const attrOf = (d: Descriptor) => (d.hi >>> 8) & 0xf0ff;
export const dplOf = (attr: number) => (attr >>> ATTR_DPL_SHIFT) & 3;
export const baseOf = (d: Descriptor) =>
  ((d.lo >>> 16) | ((d.hi & 0xff) << 16) | (d.hi & 0xff000000)) >>> 0;

export function limitOf(d: Descriptor): number {
  const limit = (d.lo & 0xffff) | (d.hi & 0xf0000);
  return d.hi & (1 << 23) ? ((limit << 12) | 0xfff) >>> 0 : limit;
}

export const isCode = (attr: number) => (attr & (ATTR_S | TYPE_CODE)) === (ATTR_S | TYPE_CODE);
export const isSystem = (attr: number) => (attr & ATTR_S) === 0;
export const isWritableData = (attr: number) =>
  (attr & (ATTR_S | TYPE_CODE | TYPE_RW)) === (ATTR_S | TYPE_RW);

/** Raises `vector` with a selector's error code; `ext` as in SDM 3A 6.13. */
export function selectorFault(cx: Cx, vector: number, selector: number, ext = 0): 1 {
  return cx.state.raise(vector, (selector & 0xfffc) | ext);
}

/** Linear address of a selector's entry, or null if its `bytes` are not within the table. */
function entryAt(state: State, selector: number, bytes: number): number | null {
  const offset = selector & 0xfff8;
  if (selector & 4) {
    if (state.seg(LDTR, SEG_ATTR) & ATTR_NULL) return null;
    if (offset + bytes - 1 > state.seg(LDTR, SEG_LIMIT)) return null;
    return state.segBase(LDTR) + offset;
  }
  if (offset + bytes - 1 > state.get(FIELDS.gdtrLimit)) return null;
  return state.getVa(FIELDS.gdtrBase) + offset;
}

/** Null: a fault is raised; `vector` (with the selector) if the entry is outside its table. */
export function readDescriptor(
  cx: Cx,
  selector: number,
  vector: number,
  ext = 0,
): Descriptor | null {
  const at = entryAt(cx.state, selector, 8);
  if (at === null) {
    selectorFault(cx, vector, selector, ext);
    return null;
  }
  if (!cx.mmu.read(at, 8, 'system')) return null;
  return { at, lo: cx.mmu.buf.getUint32(0, true), hi: cx.mmu.buf.getUint32(4, true) };
}

/** For LAR, LSL, VERR, VERW: a selector outside its table is an answer, not a fault. 'fault': one is raised. */
export function peekDescriptor(cx: Cx, selector: number): Descriptor | 'outside' | 'fault' {
  if (isNull(selector) || entryAt(cx.state, selector, 8) === null) return 'outside';
  return readDescriptor(cx, selector, GP) ?? 'fault';
}

/** Where a segment descriptor has its type; in the upper half of a 16-byte one it must be 0. SDM 3A 5.8.3.1. */
const UPPER_TYPE = 0x1f00;

/** The upper half of the base of a 16-byte system descriptor; null: a fault is raised. SDM 3A 3.5. */
export function readUpperBase(cx: Cx, selector: number, vector: number): number | null {
  const at = entryAt(cx.state, selector, 16);
  if (at === null) {
    selectorFault(cx, vector, selector);
    return null;
  }
  if (!cx.mmu.read(at + 8, 8, 'system')) return null;
  if ((cx.mmu.buf.getUint32(4, true) & UPPER_TYPE) === 0) return cx.mmu.buf.getInt32(0, true);
  selectorFault(cx, vector, selector);
  return null;
}

/** Sets the accessed bit of a code or data descriptor. False: a fault is raised. */
export function markAccessed(cx: Cx, d: Descriptor): boolean {
  if (attrOf(d) & TYPE_ACCESSED) return true;
  cx.mmu.buf.setUint8(0, (d.hi >>> 8) | TYPE_ACCESSED);
  return cx.mmu.write(d.at + 5, 1, 'system');
}

/** Fills a segment register from a descriptor that has been checked. */
export function setSegment(state: State, n: number, selector: number, d: Descriptor): void {
  setSegmentTo(
    state,
    n,
    selector,
    baseOf(d),
    limitOf(d),
    attrOf(d) | (isSystem(attrOf(d)) ? 0 : 1),
  );
}

export function setSegmentTo(
  state: State,
  n: number,
  selector: number,
  base: number,
  limit: number,
  attr: number,
): void {
  state.setSeg(n, SEG_SELECTOR, selector & 0xffff);
  state.setSegBase(n, base);
  state.setSeg(n, SEG_LIMIT, limit);
  state.setSeg(n, SEG_ATTR, attr);
}

/** A null selector clears the base too, as CPUID 0x80000021 promises. In SS it carries the privilege level: SDM 3A 6.14.4. */
export function setNullSegment(state: State, n: number, selector: number): void {
  const dpl = n === SS_REG ? (selector & 3) << ATTR_DPL_SHIFT : 0;
  setSegmentTo(state, n, selector, 0, 0, ATTR_NULL | dpl);
}

/** Real mode keeps limit and attributes; virtual-8086 mode has fixed ones. SDM 3A 21.1.1, 21.2.2. */
export function setRealSegment(state: State, n: number, selector: number): void {
  const base = (selector & 0xffff) * 16;
  if (state.get(FIELDS.eflags) & EFLAGS_VM) {
    setSegmentTo(state, n, selector, base, 0xffff, VM86_DATA);
    return;
  }
  state.setSeg(n, SEG_SELECTOR, selector & 0xffff);
  state.setSegBase(n, base);
}

export const inRealMode = (state: State) => (state.get(FIELDS.cr0) & CR0_PE) === 0;
export const inVm86 = (state: State) => (state.get(FIELDS.eflags) & EFLAGS_VM) !== 0;

/** Loads ES, SS, DS, FS or GS as MOV and POP do. 1: a fault is raised and nothing has changed. SDM 2B MOV. */
export function loadSegment(cx: Cx, n: number, selector: number): 0 | 1 {
  const { state } = cx;
  if (inRealMode(state) || inVm86(state)) {
    setRealSegment(state, n, selector);
    return 0;
  }
  if (isNull(selector)) return loadNull(cx, n, selector);
  const d = readDescriptor(cx, selector, GP);
  if (d === null) return 1;
  const attr = attrOf(d);
  if (!(n === SS_REG ? stackAllowed(state, attr, selector) : dataAllowed(state, attr, selector)))
    return selectorFault(cx, GP, selector);
  if ((attr & ATTR_P) === 0) return selectorFault(cx, n === SS_REG ? SS : NP, selector);
  if (!markAccessed(cx, d)) return 1;
  setSegment(state, n, selector, d);
  return 0;
}

function loadNull(cx: Cx, n: number, selector: number): 0 | 1 {
  const { state } = cx;
  const cpl = state.get(FIELDS.cpl);
  const allowed =
    n !== SS_REG || (state.get(FIELDS.codeMode) === 64 && cpl < 3 && (selector & 3) === cpl);
  if (!allowed) return state.raise(GP, 0);
  setNullSegment(state, n, selector);
  return 0;
}

function stackAllowed(state: State, attr: number, selector: number): boolean {
  const cpl = state.get(FIELDS.cpl);
  return (selector & 3) === cpl && isWritableData(attr) && dplOf(attr) === cpl;
}

function dataAllowed(state: State, attr: number, selector: number): boolean {
  if (isSystem(attr) || (isCode(attr) && (attr & TYPE_RW) === 0)) return false;
  if (isCode(attr) && attr & TYPE_CONFORMING) return true;
  return dplOf(attr) >= Math.max(selector & 3, state.get(FIELDS.cpl));
}

/** After a return to an outer ring: data segments that it may not use become null. SDM 2A IRET. */
export function dropInnerSegments(state: State): void {
  const cpl = state.get(FIELDS.cpl);
  for (const n of [ES, DS, FS, GS]) {
    const attr = state.seg(n, SEG_ATTR);
    if (attr & ATTR_NULL || dplOf(attr) >= cpl) continue;
    if (isCode(attr) && attr & TYPE_CONFORMING) continue;
    setNullSegment(state, n, 0);
  }
}
