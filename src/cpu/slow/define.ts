// The shape of a slow path: a part of an instruction's meaning that is plain TypeScript, shared by all engines.

import type { Border } from '../border.ts';
import type { Mmu } from '../mmu.ts';
import type { State } from '../state.ts';

/** What a slow path may reach. */
export interface Cx {
  readonly state: State;
  readonly mmu: Mmu;
  readonly border: Border;
  /** Decoded bytes of the running instruction: mode, operand and address size, length. Some slow paths need them. */
  readonly insn: {
    readonly osize: number;
    readonly asize: number;
    readonly mode: number;
    readonly length: number;
  };
  /** Instructions completed before the current one. */
  retired(): number;
  /** The time-stamp counter, as guests read it. */
  tsc(): bigint;
  /** CPL, CR0, CR3, CR4, EFER, AC or CS changed: recompute the code mode, the TLB bases and what hangs on them. */
  modeChanged(): void;
  /** Interrupts may have become deliverable (IF was set, a shadow began): look before the next instruction. */
  checkInterrupts(): void;
  /**
   * An engine's quicker way to an event's handler, between two instructions: `(vector, error code, how) -> 0 it has done
   * nothing`. `how` has bits EVENT_*, and EFLAGS_RF if the pushed flags do.
   */
  readonly enter: ((vector: number, error: number, how: number) => number) | null;
}

/**
 * A slow path. Arguments are in the state's ARG slots (`arg32`, `arg64`, `argVa`), results go to `ret32`/`ret64`.
 * Returns 0 when done, 1 when it has raised a fault (`state.raise`) and left no trace. RIP already points behind the
 * instruction when it is called by `callEnd` (and is the faulting one's again if it raises).
 */
export interface SlowPath {
  readonly name: string;
  readonly ref: string;
  /** It touches no general and no xmm register, no status flag and no budget: engines need not have them in the state. */
  readonly pure?: true;
  /** Without ending the instruction it changes which data TLB applies (`dataTlb`): a translation seen before tells nothing. */
  readonly movesTlb?: true;
  run(cx: Cx): 0 | 1;
}

export function defineSlow(path: SlowPath): SlowPath {
  return path;
}
