// What the lowering of IR to WebAssembly needs to know about where its code will stand: interpreter or JIT.

import type { FlagFn, RegRef, SegRef, Value, Width } from '../isa/ir.ts';
import type { Code } from '../wasm/encode.ts';

/** Function indexes of the imports and helpers that every module with lowered code has. */
export interface Helpers {
  /** (va f64, bytes, stack) -> address in linear memory, 0: faulted. Mmu.loadSlow, rmwSlow. */
  readonly load: number;
  readonly rmw: number;
  /** (va f64, bytes, stack) -> 0 done, 1 faulted. Mmu.storeSlow, probeSlow. */
  readonly store: number;
  readonly probe: number;
  /** (id) -> 0 done, 1 faulted: slow path `id` of the registry. */
  readonly slow: number;
  /** (segment, offset, bytes, writes) -> 0 allowed, 1 faulted: checkSegment. */
  readonly segment: number;
  /** (number, state, code, operand, fip, fdp) -> 1 done, 0 not: see x87-module.ts. */
  readonly x87: number;
  /** (state) -> the six status flags at their EFLAGS places. */
  readonly flags: number;
}

export type SlowAccess = 'load' | 'rmw' | 'store' | 'probe';

/** The lazy flags' producer, where it is known when code is generated. */
export interface KnownFlags {
  readonly fn: FlagFn;
  readonly width: Width;
}

/** The lazy flags' fields in the state. */
export type FlagField = 'flRes' | 'flX' | 'flAux' | 'flOp';

/** Every `push...` leaves one value on the WebAssembly stack. */
export interface Site {
  readonly c: Code;
  readonly helpers: Helpers;
  /** Local with the address of the vCPU's state. */
  readonly st: number;
  /** Local with the address of the data TLB in force. */
  readonly tlb: number;
  readonly knownFlags: KnownFlags | null;

  pushReg(reg: RegRef): void;
  /** Writes a register; `push` leaves the value, `reg.width` bits. */
  setReg(reg: RegRef, push: () => void): void;
  /** Number of the register in operand `slot`, i32. */
  pushRegNumber(slot: number): void;
  /** Immediate `n` as i64 (sign-extended). */
  pushImm(n: number): void;
  /** The same as a value of less than 64 bits, if the site has it as a constant. */
  pushNarrowImm?(n: number, width: Width): boolean;
  /** Its low `from` bits, with their sign to `to` bits, likewise; false (and nothing pushed) when it is no constant here. */
  pushSignedImm?(n: number, from: Width, to: Width): boolean;
  /** Offset of the memory operand within its segment, i64, truncated to the address size. */
  pushEa(): void;
  /** Base of a segment, i64; false (and nothing pushed) when it is known to be 0. */
  pushSegBase(seg: SegRef): boolean;
  /** Emits the segment's checks of an access, if it needs any: the offset is in local `offset` (i64). May leave faulted. */
  checkSegment(seg: SegRef, offset: number, bytes: number, writes: boolean): void;
  readonly checksSegments: boolean;
  /** Whether a fault on this segment is #SS: statically, or as an i32 on the stack. */
  pushIsStack(seg: SegRef): void;
  /** RIP of the next instruction, i64; and this one's length in bytes, i64. */
  pushNext(): void;
  pushLength(): void;
  /** The lazy flags: one field of them, or all six flags at their EFLAGS places (i32). */
  pushFlagField(name: FlagField): void;
  setFlagField(name: FlagField, push: () => void): void;
  pushAllFlags(): void;
  /** Calls the helper of that name for the address in local `va` (i64), having noted the instruction. */
  slowAccess(kind: SlowAccess, va: number, bytes: number, seg: SegRef): void;
  /**
   * A site whose instructions can be done elsewhere has these, and no slow accesses. Leaves the host address of the access
   * at local `va`; where the TLB does not have it, the instruction is left before anything has happened.
   */
  hostOf?(addr: Value, seg: SegRef, va: number, bytes: number, writes: boolean): void;
  /**
   * The same, if one check serves this access and others: leaves a host address and returns what is to be added to it, or leaves
   * nothing and returns -1. `va`: a local with the linear address, if it is wanted.
   */
  sharedHost?(addr: Value, va: () => number): number;
  /** Leaves it always; or if the i32 on the stack is not 0. */
  elsewhere?(): void;
  elsewhereIf?(): void;
  /** Notes which instruction is running, before anything that may look. */
  noteInstruction(): void;
  /** Around a slow path, which reads and writes registers and flags in the state. */
  beforeSlow(): void;
  /** `ends`: the slow path finishes the instruction, so that nothing it has written is read again here. */
  afterSlow(ends: boolean): void;
  /** Leaves with a fault that has been raised. The code after it is unreachable. */
  leaveFaulted(): void;
  /** The same, when the i32 on the stack is not 0. */
  leaveFaultedIf(): void;
  /** Ends of the instruction. `branch`: relative, `when` is on the stack unless always; others as ir.ts. */
  branch(always: boolean, n: number): void;
  jump(): void;
  /** The i32 on the stack is the condition. */
  skip(): void;
  again(): void;
  /** A slow path has finished the instruction: RIP and everything else are in the state. */
  ended(): void;
}
