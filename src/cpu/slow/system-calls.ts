// Slow paths for fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS.

import {
  CR0_PE,
  EFER_LMA,
  EFER_SCE,
  EFLAGS_IF,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  GP,
  isCanonical,
  UD,
} from '../control-bits.ts';
import { DR6_BS } from '../debug.ts';
import {
  CS,
  DPL3,
  FLAT_CODE32,
  FLAT_CODE64,
  FLAT_DATA,
  GS,
  SS_REG,
  setSegmentTo,
} from '../descriptors.ts';
import { readFlags, writeFlags } from '../flags.ts';
import { exits, POLICY_SYSCALL, POLICY_SYSENTER } from '../policy.ts';
import { FIELDS, type FieldName, type State } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

const RCX = 1;
const RDX = 2;
const RSP = 4;
const R11 = 11;
export const FLAT_LIMIT = 0xffffffff;
/** Flags that SYSRET takes from R11. SDM 2B SYSRET. */
export const SYSRET_FLAGS = 0x3c7fd7; // Without RF and VM.
export const ALL_FLAGS = 0x3f7fd5;

export const syscall = defineSlow({
  name: 'syscall',
  ref: 'APM 3 SYSCALL, SDM 2B SYSCALL',
  run(cx) {
    const { state } = cx;
    if ((state.word(FIELDS.efer) & EFER_SCE) === 0) return state.raise(UD, null);
    if (state.word(FIELDS.policy) & POLICY_SYSCALL && cx.border.syscall?.()) return 0;
    if (exits(state, POLICY_SYSCALL)) return 1;
    const long = (state.get(FIELDS.efer) & EFER_LMA) !== 0;
    const star = high(state, 'star') & 0xffff;
    if (long) {
      const flags = readFlags(state) & ~EFLAGS_RF;
      state.setGpr(RCX, state.get64('rip'));
      state.setGpr(R11, BigInt(flags >>> 0));
      state.set64('rip', state.get64(state.get(FIELDS.codeMode) === 64 ? 'lstar' : 'cstar'));
      writeFlags(state, 0, (state.get(FIELDS.sfmask) & ALL_FLAGS) | EFLAGS_RF);
    } else {
      state.setGpr32(RCX, state.get(FIELDS.rip));
      state.setVa(FIELDS.rip, state.get(FIELDS.star));
      writeFlags(state, 0, EFLAGS_IF | EFLAGS_RF | EFLAGS_VM);
    }
    enterRing(cx, star & 0xfffc, 0, long ? FLAT_CODE64 : FLAT_CODE32);
    stepByNewFlag(cx);
    return 0;
  },
});

/** Runs at CPL 0 only: the table says so. A non-canonical RCX faults at the fetch in ring 3, as on AMD's processors. */
export const sysret = defineSlow({
  name: 'sysret',
  ref: 'APM 3 SYSRET, SDM 2B SYSRET',
  run(cx) {
    const { state } = cx;
    if ((state.get(FIELDS.efer) & EFER_SCE) === 0) return state.raise(UD, null);
    if ((state.get(FIELDS.cr0) & CR0_PE) === 0) return state.raise(GP, 0);
    if (exits(state, POLICY_SYSCALL)) return 1;
    const long = (state.get(FIELDS.efer) & EFER_LMA) !== 0;
    const to64 = cx.insn.osize === 64;
    const star = high(state, 'star') >>> 16;
    if (long) writeFlags(state, Number(state.gpr(R11) & BigInt(SYSRET_FLAGS)), ALL_FLAGS);
    else writeFlags(state, EFLAGS_IF, EFLAGS_IF);
    if (to64) state.set64('rip', state.gpr(RCX));
    else state.setVa(FIELDS.rip, state.gpr32(RCX));
    setSegmentTo(
      state,
      CS,
      (star + (to64 ? 16 : 0)) | 3,
      0,
      FLAT_LIMIT,
      (to64 ? FLAT_CODE64 : FLAT_CODE32) | DPL3,
    );
    setSegmentTo(state, SS_REG, (star + 8) | 3, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
    leftRing0(cx);
    stepByNewFlag(cx);
    return 0;
  },
});

/** AMD's processors do not have it in IA-32e mode. APM 3 SYSENTER. */
export const sysenter = defineSlow({
  name: 'sysenter',
  ref: 'APM 3 SYSENTER, SDM 2B SYSENTER',
  run(cx) {
    const { state } = cx;
    if (state.get(FIELDS.efer) & EFER_LMA) return state.raise(UD, null);
    const selector = state.get(FIELDS.sysenterCs) & 0xfffc;
    if (selector === 0 || (state.get(FIELDS.cr0) & CR0_PE) === 0) return state.raise(GP, 0);
    if (exits(state, POLICY_SYSENTER)) return 1;
    writeFlags(state, 0, EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
    state.setGpr32(RSP, state.get(FIELDS.sysenterEsp));
    state.setVa(FIELDS.rip, state.get(FIELDS.sysenterEip));
    enterRing(cx, selector, 0, FLAT_CODE32);
    return 0;
  },
});

export const sysexit = defineSlow({
  name: 'sysexit',
  ref: 'APM 3 SYSEXIT, SDM 2B SYSEXIT',
  run(cx) {
    const { state } = cx;
    if (state.get(FIELDS.efer) & EFER_LMA) return state.raise(UD, null);
    const selector = state.get(FIELDS.sysenterCs) & 0xfffc;
    if (selector === 0 || (state.get(FIELDS.cr0) & CR0_PE) === 0) return state.raise(GP, 0);
    if (exits(state, POLICY_SYSENTER)) return 1;
    state.setVa(FIELDS.rip, state.gpr32(RDX));
    state.setGpr32(RSP, state.gpr32(RCX));
    setSegmentTo(state, CS, (selector + 16) | 3, 0, FLAT_LIMIT, FLAT_CODE32 | DPL3);
    setSegmentTo(state, SS_REG, (selector + 24) | 3, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
    leftRing0(cx);
    return 0;
  },
});

/** Args: FS or GS (32), base (64). */
export const writeSegmentBase = defineSlow({
  name: 'write_segment_base',
  ref: 'SDM 2B WRFSBASE/WRGSBASE',
  pure: true,
  run(cx) {
    const { state } = cx;
    const base = state.argVa(1);
    if (!isCanonical(base)) return state.raise(GP, 0);
    state.setSegBase(state.arg32(0), base);
    return 0;
  },
});

export const swapgs = defineSlow({
  name: 'swapgs',
  ref: 'SDM 2B SWAPGS',
  pure: true,
  run(cx) {
    const { state } = cx;
    const base = state.segBase(GS);
    state.setSegBase(GS, state.getVa(FIELDS.kernelGsBase));
    state.setVa(FIELDS.kernelGsBase, base);
    return 0;
  },
});

function enterRing(cx: Cx, selector: number, cpl: number, code: number): void {
  const { state } = cx;
  setSegmentTo(state, CS, selector, 0, FLAT_LIMIT, code);
  setSegmentTo(state, SS_REG, selector + 8, 0, FLAT_LIMIT, FLAT_DATA);
  state.set(FIELDS.cpl, cpl);
  cx.modeChanged();
}

/** TF as SYSCALL and SYSRET leave it decides about a step: a masked one ends with SYSCALL and comes due at the return. */
function stepByNewFlag({ state }: Cx): void {
  const stepping = (state.get(FIELDS.eflags) & EFLAGS_TF) !== 0;
  const others = state.get(FIELDS.pendingDebug) & ~DR6_BS;
  state.set(FIELDS.pendingDebug, stepping ? others | DR6_BS : others);
  if (stepping) state.set(FIELDS.attention, 1);
}

function leftRing0(cx: Cx): void {
  cx.state.set(FIELDS.cpl, 3);
  cx.modeChanged();
  cx.checkInterrupts();
}

function high(state: State, name: FieldName): number {
  return state.views.u32[((state.base + FIELDS[name].at) >> 2) + 1] as number;
}
