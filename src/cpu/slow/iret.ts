// Slow path of IRET: real mode, virtual-8086 mode, the same ring, an outer ring, and always with SS:RSP from 64-bit code.

import {
  EFER_LMA,
  EFLAGS_AC,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_STATUS,
  EFLAGS_TF,
  EFLAGS_VIF,
  EFLAGS_VIP,
  EFLAGS_VM,
  GP,
} from '../control-bits.ts';
import { resumeNext } from '../debug.ts';
import {
  attrOf,
  CS,
  DS,
  dropInnerSegments,
  ES,
  FS,
  GS,
  inRealMode,
  inVm86,
  markAccessed,
  SS_REG,
  setRealSegment,
  setSegment,
} from '../descriptors.ts';
import { writeFlags } from '../flags.ts';
import { exits, POLICY_IRET } from '../policy.ts';
import { returnSegment, stackFor } from '../return.ts';
import { currentStack, masked, peekStack, type Stack, setStackPointer, word } from '../stack.ts';
import { FIELDS } from '../state.ts';
import { returnToTask } from '../task-switch.ts';
import { type Cx, defineSlow } from './define.ts';

/** The three words that every frame has. */
interface Frame {
  readonly rip: number;
  readonly selector: number;
  readonly flags: number;
  readonly bytes: 2 | 4 | 8;
}

export const iret = defineSlow({
  name: 'iret',
  ref: 'SDM 2A IRET/IRETD/IRETQ',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_IRET)) return 1;
    state.set(FIELDS.nmiMasked, 0); // Even if IRET faults: SDM 3A 7.7.1.
    if (state.get(FIELDS.nmiPending)) cx.checkInterrupts();
    const bytes = (cx.insn.osize / 8) as 2 | 4 | 8;
    const stack = currentStack(state);
    if (inVm86(state) && (state.get(FIELDS.eflags) & EFLAGS_IOPL) !== EFLAGS_IOPL)
      return state.raise(GP, 0);
    if (!inRealMode(state) && !inVm86(state) && state.get(FIELDS.eflags) & EFLAGS_NT)
      return state.get(FIELDS.efer) & EFER_LMA ? state.raise(GP, 0) : returnToTask(cx);
    const from64 = state.get(FIELDS.codeMode) === 64;
    if (!peekStack(cx, stack, (from64 ? 5 : 3) * bytes)) return 1;
    const frame = {
      rip: word(cx, bytes, 0),
      selector: word(cx, bytes, 1) & 0xffff,
      flags: word(cx, bytes, 2) | 0,
      bytes,
    };
    if (inRealMode(state) || inVm86(state)) return realReturn(cx, stack, frame);
    if (from64) return longReturn(cx, frame, word(cx, bytes, 3), word(cx, bytes, 4) & 0xffff);
    const toVm86 = (frame.flags & EFLAGS_VM) !== 0 && bytes === 4 && state.get(FIELDS.cpl) === 0;
    if (toVm86 && (state.get(FIELDS.efer) & EFER_LMA) === 0) return vm86Return(cx, stack, frame);
    return protectedReturn(cx, stack, frame);
  },
});

function realReturn(cx: Cx, stack: Stack, frame: Frame): 0 | 1 {
  const { state } = cx;
  if (frame.rip > 0xffff) return state.raise(GP, 0);
  const kept = inVm86(state) ? EFLAGS_IOPL : 0;
  setRealSegment(state, CS, frame.selector);
  state.setVa(FIELDS.rip, frame.rip);
  setStackPointer(state, masked(stack.sp + 3 * frame.bytes, stack.width), stack.width);
  takeFlags(cx, frame, poppedMask(frame.bytes, 0, 0) & ~kept);
  cx.modeChanged();
  cx.checkInterrupts();
  return 0;
}

/** From 64-bit code SS:RSP is popped whatever the rings. SDM 3A 6.14.3. */
function longReturn(cx: Cx, frame: Frame, rsp: number, ss: number): 0 | 1 {
  const { state } = cx;
  const d = returnSegment(cx, frame.selector, frame.rip);
  if (d === null) return 1;
  const cpl = frame.selector & 3;
  const outer = stackFor(cx, ss, cpl, attrOf(d));
  if (outer === null || !markAccessed(cx, d)) return 1;
  const oldCpl = state.get(FIELDS.cpl);
  setSegment(state, CS, frame.selector, d);
  outer.load();
  state.setVa(FIELDS.rip, frame.rip);
  // All of RSP is loaded with a 64-bit operand, however small the new stack is.
  setStackPointer(state, rsp, frame.bytes === 8 ? 64 : frame.bytes === 4 ? 32 : 16);
  finish(cx, frame, oldCpl, cpl);
  return 0;
}

function protectedReturn(cx: Cx, stack: Stack, frame: Frame): 0 | 1 {
  const { state } = cx;
  const d = returnSegment(cx, frame.selector, frame.rip);
  if (d === null) return 1;
  const cpl = frame.selector & 3;
  const oldCpl = state.get(FIELDS.cpl);
  if (cpl === oldCpl) {
    if (!markAccessed(cx, d)) return 1;
    setStackPointer(state, masked(stack.sp + 3 * frame.bytes, stack.width), stack.width);
    setSegment(state, CS, frame.selector, d);
    state.setVa(FIELDS.rip, frame.rip);
    finish(cx, frame, oldCpl, cpl);
    return 0;
  }
  if (!peekStack(cx, stack, 2 * frame.bytes, 3 * frame.bytes)) return 1;
  const sp = word(cx, frame.bytes, 0);
  const outer = stackFor(cx, word(cx, frame.bytes, 1) & 0xffff, cpl, attrOf(d));
  if (outer === null || !markAccessed(cx, d)) return 1;
  setSegment(state, CS, frame.selector, d);
  outer.load();
  state.setVa(FIELDS.rip, frame.rip);
  cx.modeChanged();
  setStackPointer(state, sp, currentStack(state).width);
  finish(cx, frame, oldCpl, cpl);
  return 0;
}

/** EIP CS EFLAGS ESP SS ES DS FS GS. SDM 3A 21.2.5. */
function vm86Return(cx: Cx, stack: Stack, frame: Frame): 0 | 1 {
  const { state } = cx;
  if (!peekStack(cx, stack, 36)) return 1;
  const words = Array.from({ length: 9 }, (_, n) => word(cx, 4, n));
  if (frame.rip > 0xffff) return state.raise(GP, 0);
  takeFlags(cx, frame, poppedMask(4, 0, 0) | EFLAGS_VM);
  setRealSegment(state, CS, frame.selector);
  for (const [n, at] of [
    [SS_REG, 4],
    [ES, 5],
    [DS, 6],
    [FS, 7],
    [GS, 8],
  ] as const)
    setRealSegment(state, n, (words[at] as number) & 0xffff);
  state.setVa(FIELDS.rip, frame.rip);
  state.setGpr32(4, words[3] as number);
  state.set(FIELDS.cpl, 3);
  cx.modeChanged();
  cx.checkInterrupts();
  return 0;
}

function finish(cx: Cx, frame: Frame, oldCpl: number, cpl: number): void {
  const { state } = cx;
  const iopl = (state.get(FIELDS.eflags) & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
  takeFlags(cx, frame, poppedMask(frame.bytes, oldCpl, iopl));
  state.set(FIELDS.cpl, cpl);
  if (cpl > oldCpl) dropInnerSegments(state);
  cx.modeChanged();
  cx.checkInterrupts();
}

/** RF holds for one instruction; single-stepping begins with the next one, so the engine must not run into a block. */
function takeFlags(cx: Cx, frame: Frame, mask: number): void {
  const { state } = cx;
  writeFlags(state, frame.flags, mask & ~EFLAGS_RF);
  if (frame.flags & mask & EFLAGS_RF) resumeNext(state, cx.retired());
  if (frame.flags & EFLAGS_TF) state.set(FIELDS.attention, 1);
}

/** Flags that IRET takes from the stack at this privilege. */
function poppedMask(bytes: number, cpl: number, iopl: number): number {
  let mask = EFLAGS_STATUS | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
  if (bytes > 2) mask |= EFLAGS_RF | EFLAGS_AC | EFLAGS_ID;
  if (cpl <= iopl) mask |= EFLAGS_IF;
  if (cpl === 0) mask |= EFLAGS_IOPL | (bytes > 2 ? EFLAGS_VIF | EFLAGS_VIP : 0);
  return mask;
}
