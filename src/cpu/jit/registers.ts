// Where translated code finds registers and lazy flags: what a region's instructions ask, whoever holds them.

import { fixedRegisterOffset } from '../interp/records.ts';
import type { RegRef } from '../isa/ir.ts';
import { loadOf, storeOf } from '../lower/memory-ops.ts';
import type { FlagField } from '../lower/site.ts';
import { FIELDS } from '../state.ts';
import type { Code, ValType } from '../wasm/encode.ts';

/** Gpr 16..19 at 8 bits are the second bytes of registers 0..3. */
export const FIRST_HIGH = 16;

export const FLAG_FIELDS: readonly FlagField[] = ['flRes', 'flX', 'flAux', 'flOp'];

export interface Registers {
  /** Leaves all 64 bits of a general register. */
  push(n: number): void;
  /** Leaves what `reg` says of register `n`. */
  read(reg: RegRef, n: number): void;
  /** `push` leaves the value, `reg.width` bits. */
  write(reg: RegRef, n: number, push: () => void): void;
  pushFlag(name: FlagField): void;
  writeFlag(name: FlagField, push: () => void): void;
  /** From here on the state holds the flags, for whoever reads them there. */
  settleFlags(): void;
  /** Around a slow path that may read and write all that the state holds; `ends`: nothing is read here afterwards. */
  beforeSlow(): void;
  afterSlow(ends: boolean): void;
  /** The instruction is repeated: what is known of its first round does not hold for the others. */
  repeated(): void;
}

export function flagType(name: FlagField): ValType {
  return FIELDS[name].bits === 64 ? 'i64' : 'i32';
}

export function loadRegister(c: Code, st: number, reg: RegRef, n: number): void {
  c.get(st).mem(loadOf(reg.width), fixedRegisterOffset({ ...reg, fixed: n }));
}

export function storeRegister(c: Code, st: number, reg: RegRef, n: number, push: () => void): void {
  c.get(st);
  push();
  c.mem(storeOf(reg.width), fixedRegisterOffset({ ...reg, fixed: n }));
}

export function loadFlag(c: Code, st: number, name: FlagField): void {
  c.get(st).mem(flagType(name) === 'i64' ? 'i64.load' : 'i32.load', FIELDS[name].at);
}

/** What `storeFlag` needs on the stack: the state, then the value. */
export function storeFlag(c: Code, name: FlagField): void {
  c.mem(flagType(name) === 'i64' ? 'i64.store' : 'i32.store', FIELDS[name].at);
}
