// Registers that live in the state, with copies of what a block has seen of them, true as long as nobody else writes.

import type { RegRef } from '../isa/ir.ts';
import { loadOf, storeOf } from '../lower/memory-ops.ts';
import type { FlagField } from '../lower/site.ts';
import { GPR_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import {
  FIRST_HIGH,
  FLAG_FIELDS,
  flagType,
  loadFlag,
  loadRegister,
  type Registers,
  storeFlag,
  storeRegister,
} from './registers.ts';

/**
 * Every write goes to the state at once, so that a fault, a slow path or an exit finds it there; a second read comes from
 * the local. A copy is made only where every path of the block passes: at the level of its statements.
 */
export class Mirror implements Registers {
  private readonly c: Code;
  private readonly st: number;
  private level = -1;
  /** Registers whose value at this instruction is read again: one bit each. */
  wanted = 0;
  /** Something may be in a local. */
  private knows = false;
  private readonly gprs = new Array<number>(16).fill(-1);
  private readonly flags: Record<FlagField, number> = { flRes: -1, flX: -1, flAux: -1, flOp: -1 };

  constructor(c: Code, st: number) {
    this.c = c;
    this.st = st;
  }

  /** A block begins here, and nothing is known. */
  begin(): void {
    this.forgetAll();
    this.level = this.c.level;
  }

  push(n: number): void {
    const { c, gprs } = this;
    const local = gprs[n] as number;
    if (local !== -1) {
      c.get(local);
      return;
    }
    c.get(this.st).mem('i64.load', GPR_AT + n * 8);
    this.tee(n);
  }

  read(reg: RegRef, n: number): void {
    const { c } = this;
    if (reg.file !== 'gpr' || n >= FIRST_HIGH) return loadRegister(c, this.st, reg, n);
    if (reg.width < 32 && this.gprs[n] === -1) {
      c.get(this.st).mem(loadOf(reg.width), GPR_AT + n * 8);
      return;
    }
    this.push(n);
    if (reg.width === 64) return;
    c.op('i32.wrap_i64');
    if (reg.width < 32) c.i32(reg.width === 8 ? 0xff : 0xffff).op('i32.and');
  }

  write(reg: RegRef, n: number, push: () => void): void {
    const { c } = this;
    if (reg.file !== 'gpr' || n >= FIRST_HIGH) {
      storeRegister(c, this.st, reg, n, push);
      if (reg.file === 'gpr') this.forget(n - FIRST_HIGH);
      return;
    }
    c.get(this.st);
    push();
    if (reg.width < 32) {
      c.mem(storeOf(reg.width), GPR_AT + n * 8);
      this.forget(n);
      return;
    }
    if (reg.width === 32) c.op('i64.extend_i32_u');
    this.tee(n);
    c.mem('i64.store', GPR_AT + n * 8);
  }

  pushFlag(name: FlagField): void {
    if (this.flags[name] !== -1) this.c.get(this.flags[name]);
    else loadFlag(this.c, this.st, name);
  }

  writeFlag(name: FlagField, push: () => void): void {
    this.c.get(this.st);
    push();
    this.teeFlag(name);
    storeFlag(this.c, name);
  }

  settleFlags(): void {}

  beforeSlow(): void {}

  afterSlow(ends: boolean): void {
    if (!ends) this.forgetAll();
  }

  repeated(): void {
    this.forgetAll();
  }

  /** The i64 on the stack is the register's value. */
  private tee(n: number): void {
    const { c, gprs } = this;
    if (c.level !== this.level || ((this.wanted >> n) & 1) === 0) {
      this.forget(n);
      return;
    }
    this.knows = true;
    if (gprs[n] === -1) gprs[n] = c.take('i64');
    c.tee(gprs[n] as number);
  }

  private teeFlag(name: FlagField): void {
    const { c, flags } = this;
    // Who reads flOp or flAux knows the producer, and then seldom needs them.
    if (c.level !== this.level || flagType(name) === 'i32') {
      this.forgetFlag(name);
      return;
    }
    this.knows = true;
    if (flags[name] === -1) flags[name] = c.take(flagType(name));
    c.tee(flags[name]);
  }

  private forgetAll(): void {
    if (!this.knows) return;
    this.knows = false;
    for (let n = 0; n < 16; n++) this.forget(n);
    for (const name of FLAG_FIELDS) this.forgetFlag(name);
  }

  private forget(n: number): void {
    const local = this.gprs[n] as number;
    if (local === -1) return;
    this.c.release('i64', local);
    this.gprs[n] = -1;
  }

  private forgetFlag(name: FlagField): void {
    if (this.flags[name] === -1) return;
    this.c.release(flagType(name), this.flags[name]);
    this.flags[name] = -1;
  }
}
