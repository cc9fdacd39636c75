// A decoded instruction: which table entry, with which registers, address and immediates.

import type { Form, Insn, Operand } from './isa/define.ts';
import type { Variant } from './isa/ir.ts';

export interface Decoded {
  readonly insn: Insn;
  readonly form: Form;
  /** Index of the form in the whole table: identifies it in variant keys. */
  readonly formId: number;
  readonly variant: Variant;
  readonly length: number;
  /** Bound operands in the order of `args`, for `sem`; `slot` numbers index `regs`. */
  readonly operands: readonly Operand[];
  /** Register numbers: 0..15; 16..19 are AH CH DH BH for 8-bit gpr operands. */
  readonly regs: readonly number[];
  /** Effective segment of the memory operand (0 ES 1 CS 2 SS 3 DS 4 FS 5 GS), or of DS:rSI of a string instruction. */
  readonly segment: number;
  readonly hasMem: boolean;
  /** Base and index register, -1: none; `ripRelative`: the displacement counts from the next instruction. */
  readonly base: number;
  readonly index: number;
  readonly scale: 0 | 1 | 2 | 3;
  readonly ripRelative: boolean;
  /** Displacement, sign-extended; a 64-bit moffs has its upper half in `dispHi`. */
  readonly disp: number;
  readonly dispHi: number;
  /** Immediates 0 and 1, sign-extended: low and high halves as signed 32-bit numbers. */
  readonly immLo: readonly [number, number];
  readonly immHi: readonly [number, number];
  /** Identifies form + variant + operand kinds: equal keys have equal IR. */
  readonly key: string;
}

/** Code bytes that are no instruction in this mode, or a prefix that is not allowed: #UD. */
export type DecodeFailure = { readonly failure: 'undefined' | 'too-long' | 'truncated' };
