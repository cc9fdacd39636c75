// What all x87 arithmetic shares: the environment from the control word, stack checks, and how exceptions end an instruction.

import { updateSummary } from '../fpu-fault.ts';
import type { Target } from '../softfloat/arithmetic.ts';
import {
  DE,
  F80,
  IE,
  INDEFINITE,
  type Num,
  OE,
  PE,
  packExtended,
  UE,
  unpackExtended,
  ZE,
} from '../softfloat/number.ts';
import type { Env } from '../softfloat/round.ts';
import { FIELDS, type State } from '../state.ts';
import type { Cx } from './define.ts';
import { type Extended, freeSt, isEmpty, readSt, setTop, topOf, writeSt } from './x87-registers.ts';

export const C0 = 1 << 8;
export const C1 = 1 << 9;
export const C2 = 1 << 10;
export const C3 = 1 << 14;
const SF = 1 << 6;
const FCW_MASKS = 0x3f;
const FCW_PC_SHIFT = 8;
const FCW_RC_SHIFT = 10;
/** What an unmasked overflow takes from the exponent and an unmasked underflow adds. SDM 1 8.5.4, 8.5.5. */
const WRAP = 24576;
/** By FCW.PC; the reserved encoding behaves as extended. SDM 1 table 8-2. */
const PRECISIONS = [24, 64, 53, 64] as const;
const BEFORE = IE | DE | ZE;

/** In an x87 slow path's argument 0: argument 3 is the offset of a memory operand. */
export const HAS_MEMORY = 1 << 16;

/** An instruction in progress. */
export interface Op {
  readonly cx: Cx;
  readonly state: State;
  readonly env: Env;
  /** Argument 0 without HAS_MEMORY: which of a path's operations. */
  readonly code: number;
  /** FIP and FDP as they were, for `abandon`. */
  readonly before: { readonly fip: bigint; readonly fdp: bigint };
  /** Where arithmetic results go: the precision is the control word's. */
  readonly target: Target;
  stackFault: boolean;
  /** Condition codes to set; `codesKept`: those that stay. C1 is cleared unless set. */
  codes: number;
  codesKept: number;
}

/** Begins an instruction: notes the pointers. Arguments: code, operand, RIP of the next instruction, operand offset. */
export function begin(cx: Cx): Op {
  const { state } = cx;
  const fcw = state.get(FIELDS.fcw);
  const code = state.arg32(0);
  const before = { fip: state.get64('fip'), fdp: state.get64('fdp') };
  state.set64('fip', BigInt.asUintN(64, state.arg64(2) - BigInt(cx.insn.length)));
  if ((code & HAS_MEMORY) !== 0) state.set64('fdp', state.arg64(3));
  const precision = PRECISIONS[((fcw >> FCW_PC_SHIFT) & 3) as 0 | 1 | 2 | 3];
  return {
    cx,
    state,
    code: code & ~HAS_MEMORY,
    before,
    env: {
      rounding: (fcw >> FCW_RC_SHIFT) & 3,
      masks: fcw & FCW_MASKS,
      denormalsAreZero: false,
      flushToZero: false,
      nans: 'larger',
      wrap: WRAP,
      flags: 0,
      roundedUp: false,
    },
    target: { format: F80, precision },
    stackFault: false,
    codes: 0,
    codesKept: C0 | C2 | C3,
  };
}

/** An empty register was read (C1 clear). */
export function underflowed(op: Op): void {
  op.env.flags |= IE;
  op.stackFault = true;
}

/** A push onto a register in use (C1 set). */
export function overflowed(op: Op): void {
  underflowed(op);
  op.codes |= C1;
}

/** The value of ST(i), or null with a stack fault. */
export function stValue(op: Op, i: number): Num | null {
  if (!isEmpty(op.state, i)) return unpackExtended(readSt(op.state, i));
  underflowed(op);
  return null;
}

/** Whether an unmasked exception keeps the result from being written. */
export function isStopped(op: Op, toMemory = false): boolean {
  return isStoppedBy(op, toMemory ? BEFORE | OE | UE : BEFORE);
}
export function isStoppedBy(op: Op, exceptions: number): boolean {
  return (op.env.flags & ~op.env.masks & exceptions) !== 0;
}

/** The access to memory has faulted: a fault leaves no trace. */
export function abandon(op: Op): 1 {
  op.state.set64('fip', op.before.fip);
  op.state.set64('fdp', op.before.fdp);
  return 1;
}

/** Ends an instruction: exception flags, condition codes, summary. */
export function end(op: Op): 0 {
  const { env, state } = op;
  const rounded = !op.stackFault && (env.flags & PE) !== 0 && env.roundedUp;
  const codes = op.codes | (rounded ? C1 : 0);
  const kept = state.get(FIELDS.fsw) & ~((C0 | C1 | C2 | C3) & ~op.codesKept);
  state.set(FIELDS.fsw, kept | codes | env.flags | (op.stackFault ? SF : 0));
  if (env.flags !== 0) updateSummary(state);
  return 0;
}

/** Writes ST(i) unless an exception stops it; null stands for the masked answer to a stack fault. */
export function put(op: Op, i: number, v: Num | null): void {
  writeSt(op.state, i, packExtended(v ?? INDEFINITE));
}

export function pop(op: Op): void {
  freeSt(op.state, 0);
  setTop(op.state, topOf(op.state) + 1);
}

/** Makes room for a push; false: the stack was full, which is a masked or unmasked fault. */
export function canPush(op: Op): boolean {
  if (isEmpty(op.state, 7)) return true;
  overflowed(op);
  return false;
}

export function push(op: Op, v: Extended): void {
  setTop(op.state, topOf(op.state) - 1);
  writeSt(op.state, 0, v);
}

export const INDEFINITE80: Extended = packExtended(INDEFINITE);
