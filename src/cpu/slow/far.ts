// Slow paths for far jumps, calls and returns: direct, and through call gates. SDM 3A 5.8.

import { EFER_LMA, GP, isCanonical, NP } from '../control-bits.ts';
import { innerStack } from '../deliver-protected.ts';
import {
  attrOf,
  CS,
  type Descriptor,
  dplOf,
  dropInnerSegments,
  inRealMode,
  inVm86,
  isCode,
  isNull,
  isSystem,
  limitOf,
  markAccessed,
  readDescriptor,
  readUpperBase,
  SS_REG,
  SYS_CALL_GATE,
  SYS_CALL_GATE16,
  selectorFault,
  setNullSegment,
  setRealSegment,
  setSegment,
  TYPE_CONFORMING,
} from '../descriptors.ts';
import { readTss } from '../gates.ts';
import { returnSegment, type StackLoad, stackFor } from '../return.ts';
import {
  currentStack,
  masked,
  peekStack,
  pushWords,
  type Stack,
  setStackPointer,
  word,
} from '../stack.ts';
import { ATTR_D, ATTR_L, ATTR_P, FIELDS, GPR_AT, SEG_SELECTOR } from '../state.ts';
import { farToTask, leadsToTask } from '../task-switch.ts';
import { type Cx, defineSlow } from './define.ts';

const RSP = 4;
const TSS_RSP0 = 4;

/** A code segment with the offset in it, checked. */
interface Target {
  readonly selector: number;
  readonly offset: number;
  readonly descriptor: Descriptor;
  readonly cpl: number;
}

/** A call gate: where it leads, and how many parameters a call through it copies. */
interface CallGate {
  readonly selector: number;
  readonly offset: number;
  readonly bytes: 2 | 4 | 8;
  readonly parameters: number;
}

/** Args: selector (32), offset (64). */
export const farJump = defineSlow({
  name: 'far_jump',
  ref: 'SDM 2A JMP',
  run(cx) {
    const { state } = cx;
    const selector = state.arg32(0) & 0xffff;
    const offset = state.argVa(1);
    if (inRealMode(state) || inVm86(state)) return realJump(cx, selector, offset);
    const d = targetDescriptor(cx, selector);
    if (d === null) return 1;
    if (leadsToTask(cx, d)) return farToTask(cx, selector, d, 'jump');
    const target = isSystem(attrOf(d))
      ? throughGate(cx, selector, d, (gate, code) =>
          directTarget(cx, gate.selector, gate.offset, code, true),
        )
      : directTarget(cx, selector, offset, d, false);
    if (target === null || !markAccessed(cx, target.descriptor)) return 1;
    enter(cx, target);
    return 0;
  },
});

/** Args: selector (32), offset (64). */
export const farCall = defineSlow({
  name: 'far_call',
  ref: 'SDM 2A CALL',
  run(cx) {
    const { state } = cx;
    const selector = state.arg32(0) & 0xffff;
    const offset = state.argVa(1);
    const bytes = (cx.insn.osize / 8) as 2 | 4 | 8;
    if (inRealMode(state) || inVm86(state)) return realCall(cx, selector, offset, bytes);
    const d = targetDescriptor(cx, selector);
    if (d === null) return 1;
    if (leadsToTask(cx, d)) return farToTask(cx, selector, d, 'call');
    if (isSystem(attrOf(d))) return callGate(cx, selector, d);
    const target = directTarget(cx, selector, offset, d, false);
    if (target === null) return 1;
    return callSameRing(cx, target, bytes);
  },
});

/** Args: bytes to release (32). */
export const farReturn = defineSlow({
  name: 'far_return',
  ref: 'SDM 2B RET',
  run(cx) {
    const { state } = cx;
    const release = cx.state.arg32(0);
    const bytes = (cx.insn.osize / 8) as 2 | 4 | 8;
    const stack = currentStack(state);
    if (!peekStack(cx, stack, 2 * bytes)) return 1;
    const rip = word(cx, bytes, 0);
    const selector = word(cx, bytes, 1) & 0xffff;
    const after = masked(stack.sp + 2 * bytes + release, stack.width);
    if (inRealMode(state) || inVm86(state)) {
      setRealSegment(state, CS, selector);
      state.setVa(FIELDS.rip, rip);
      setStackPointer(state, after, stack.width);
      cx.modeChanged();
      return 0;
    }
    return protectedReturn(cx, stack, { rip, selector, release, bytes, after });
  },
});

interface FarReturn {
  readonly rip: number;
  readonly selector: number;
  readonly release: number;
  readonly bytes: 2 | 4 | 8;
  readonly after: number;
}

function protectedReturn(cx: Cx, stack: Stack, r: FarReturn): 0 | 1 {
  const { state } = cx;
  const d = returnSegment(cx, r.selector, r.rip);
  if (d === null) return 1;
  const outward = (r.selector & 3) > state.get(FIELDS.cpl);
  let outer: StackLoad | null = null;
  let sp = 0;
  if (outward) {
    if (!peekStack(cx, stack, 2 * r.bytes, 2 * r.bytes + r.release)) return 1;
    sp = word(cx, r.bytes, 0);
    outer = stackFor(cx, word(cx, r.bytes, 1) & 0xffff, r.selector & 3, attrOf(d));
    if (outer === null) return 1;
  }
  if (!markAccessed(cx, d)) return 1;
  setSegment(state, CS, r.selector, d);
  state.set(FIELDS.cpl, r.selector & 3);
  state.setVa(FIELDS.rip, r.rip);
  if (outer === null) setStackPointer(state, r.after, stack.width);
  else {
    outer.load();
    cx.modeChanged();
    const { width } = currentStack(state);
    setStackPointer(state, masked(sp + r.release, width), width);
    dropInnerSegments(state);
  }
  cx.modeChanged();
  return 0;
}

function realJump(cx: Cx, selector: number, offset: number): 0 | 1 {
  if (offset > 0xffff) return cx.state.raise(GP, 0);
  setRealSegment(cx.state, CS, selector);
  cx.state.setVa(FIELDS.rip, offset);
  cx.modeChanged();
  return 0;
}

function realCall(cx: Cx, selector: number, offset: number, bytes: 2 | 4 | 8): 0 | 1 {
  const { state } = cx;
  if (offset > 0xffff) return state.raise(GP, 0);
  const stack = currentStack(state);
  const words = [state.seg(CS, SEG_SELECTOR), state.get(FIELDS.rip)];
  const sp = pushWords(cx, stack, bytes, words, 'current');
  if (sp === null) return 1;
  setStackPointer(state, sp, stack.width);
  return realJump(cx, selector, offset);
}

function targetDescriptor(cx: Cx, selector: number): Descriptor | null {
  if (!isNull(selector)) return readDescriptor(cx, selector, GP);
  cx.state.raise(GP, 0);
  return null;
}

/** Checks a code segment that is jumped to or called at the same privilege. `gated`: RPL does not count. SDM 3A 5.8.1. */
function directTarget(
  cx: Cx,
  selector: number,
  offset: number,
  d: Descriptor,
  gated: boolean,
): Target | null {
  const cpl = cx.state.get(FIELDS.cpl);
  const attr = attrOf(d);
  const conforming = (attr & TYPE_CONFORMING) !== 0;
  const rpl = gated ? 0 : selector & 3;
  const allowed = conforming ? dplOf(attr) <= cpl : rpl <= cpl && dplOf(attr) === cpl;
  if (!isCode(attr) || !allowed) return refused(cx, GP, selector);
  return checkedTarget(cx, selector, offset, d, cpl);
}

function checkedTarget(
  cx: Cx,
  selector: number,
  offset: number,
  d: Descriptor,
  cpl: number,
): Target | null {
  const attr = attrOf(d);
  const long = (cx.state.get(FIELDS.efer) & EFER_LMA) !== 0;
  if (long && attr & ATTR_L && attr & ATTR_D) return refused(cx, GP, selector);
  if ((attr & ATTR_P) === 0) return refused(cx, NP, selector);
  const within = long && attr & ATTR_L ? isCanonical(offset) : offset >= 0 && offset <= limitOf(d);
  if (within) return { selector: (selector & 0xfffc) | cpl, offset, descriptor: d, cpl };
  cx.state.raise(GP, 0);
  return null;
}

function refused(cx: Cx, vector: number, selector: number): null {
  selectorFault(cx, vector, selector);
  return null;
}

/** Reads a call gate and the descriptor that it names. Null: a fault is raised. */
function throughGate(
  cx: Cx,
  selector: number,
  d: Descriptor,
  use: (gate: CallGate, code: Descriptor) => Target | null,
): Target | null {
  const gate = readCallGate(cx, selector, d);
  if (gate === null) return null;
  if (isNull(gate.selector)) {
    cx.state.raise(GP, 0);
    return null;
  }
  const code = readDescriptor(cx, gate.selector, GP);
  return code === null ? null : use(gate, code);
}

function readCallGate(cx: Cx, selector: number, d: Descriptor): CallGate | null {
  const attr = attrOf(d);
  const type = attr & 0xf;
  const long = (cx.state.get(FIELDS.efer) & EFER_LMA) !== 0;
  if (type !== SYS_CALL_GATE && (type !== SYS_CALL_GATE16 || long))
    return refused(cx, GP, selector);
  if (dplOf(attr) < Math.max(cx.state.get(FIELDS.cpl), selector & 3))
    return refused(cx, GP, selector);
  if ((attr & ATTR_P) === 0) return refused(cx, NP, selector);
  const low = ((d.hi & 0xffff0000) | (d.lo & 0xffff)) >>> 0;
  const gate = { selector: d.lo >>> 16, parameters: d.hi & 31 };
  if (type === SYS_CALL_GATE16) return { ...gate, offset: low & 0xffff, bytes: 2 };
  if (!long) return { ...gate, offset: low, bytes: 4 };
  const upper = readUpperBase(cx, selector, GP);
  return upper === null ? null : { ...gate, offset: upper * 4294967296 + low, bytes: 8 };
}

function callGate(cx: Cx, selector: number, d: Descriptor): 0 | 1 {
  const { state } = cx;
  let through: CallGate | null = null;
  const target = throughGate(cx, selector, d, (gate, code) => {
    through = gate;
    const attr = attrOf(code);
    const cpl = state.get(FIELDS.cpl);
    if (!isCode(attr) || dplOf(attr) > cpl) return refused(cx, GP, gate.selector);
    if (gate.bytes === 8 && (attr & (ATTR_L | ATTR_D)) !== ATTR_L)
      return refused(cx, GP, gate.selector);
    const inner = attr & TYPE_CONFORMING ? cpl : dplOf(attr);
    return checkedTarget(cx, gate.selector, gate.offset, code, inner);
  });
  if (target === null || through === null) return 1;
  const gate: CallGate = through;
  if (target.cpl === state.get(FIELDS.cpl)) return callSameRing(cx, target, gate.bytes);
  return gate.bytes === 8 ? callInnerLong(cx, target) : callInner(cx, target, gate);
}

function callSameRing(cx: Cx, target: Target, bytes: 2 | 4 | 8): 0 | 1 {
  const { state } = cx;
  const stack = currentStack(state);
  const words = [state.seg(CS, SEG_SELECTOR), state.getVa(FIELDS.rip)];
  const sp = pushWords(cx, stack, bytes, words, 'current');
  if (sp === null || !markAccessed(cx, target.descriptor)) return 1;
  setStackPointer(state, sp, stack.width);
  enter(cx, target);
  return 0;
}

function callInnerLong(cx: Cx, target: Target): 0 | 1 {
  const { state } = cx;
  if (!readTss(cx, TSS_RSP0 + target.cpl * 8, 8, 0)) return 1;
  const stack = { base: 0, limit: 0, attr: 0, sp: word(cx, 8, 0), width: 64 } as const;
  const words = [
    state.seg(SS_REG, SEG_SELECTOR),
    state.vaAt(GPR_AT + RSP * 8),
    state.seg(CS, SEG_SELECTOR),
    state.getVa(FIELDS.rip),
  ];
  const sp = pushWords(cx, stack, 8, words, 'system');
  if (sp === null || !markAccessed(cx, target.descriptor)) return 1;
  setNullSegment(state, SS_REG, target.cpl);
  setStackPointer(state, sp, 64);
  enter(cx, target);
  return 0;
}

function callInner(cx: Cx, target: Target, gate: CallGate): 0 | 1 {
  const { state } = cx;
  const outer = currentStack(state);
  const parameters = copiedParameters(cx, outer, gate);
  if (parameters === null) return 1;
  const inner = innerStack(cx, target.cpl, 0);
  if (inner === null) return 1;
  const words = [
    state.seg(SS_REG, SEG_SELECTOR),
    state.gpr32(RSP),
    ...parameters,
    state.seg(CS, SEG_SELECTOR),
    state.get(FIELDS.rip),
  ];
  const sp = pushWords(cx, inner, gate.bytes, words, 'system', inner.selector & 0xfffc);
  if (sp === null) return 1;
  if (!markAccessed(cx, target.descriptor) || !markAccessed(cx, inner.descriptor)) return 1;
  setSegment(state, SS_REG, inner.selector, inner.descriptor);
  setStackPointer(state, sp, inner.width);
  enter(cx, target);
  return 0;
}

/** The caller's parameters, in the order in which they are pushed again. */
function copiedParameters(cx: Cx, outer: Stack, gate: CallGate): number[] | null {
  if (gate.parameters === 0) return [];
  if (!peekStack(cx, outer, gate.parameters * gate.bytes)) return null;
  return Array.from({ length: gate.parameters }, (_, n) =>
    word(cx, gate.bytes, gate.parameters - 1 - n),
  );
}

function enter(cx: Cx, target: Target): void {
  setSegment(cx.state, CS, target.selector, target.descriptor);
  cx.state.setVa(FIELDS.rip, target.offset);
  cx.state.set(FIELDS.cpl, target.cpl);
  cx.modeChanged();
}
