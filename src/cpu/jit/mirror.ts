// What the code of a block has seen of registers and lazy flags: copies in locals, true as long as nobody else writes.

import type { FlagField } from '../lower/site.ts';
import { FIELDS, GPR_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';

/**
 * Every write goes to the state at once, so that a fault, a slow path or an exit finds it there; a second read comes from
 * the local. A copy is made only where every path of the block passes: at the level of its statements.
 */
export class Mirror {
  private readonly c: Code;
  private readonly st: number;
  private level = -1;
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

  has(n: number): boolean {
    return this.gprs[n] !== -1;
  }

  /** Leaves all 64 bits of a general register. */
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

  /** The i64 on the stack is the register's value. */
  tee(n: number): void {
    const { c, gprs } = this;
    if (c.level !== this.level) {
      this.forget(n);
      return;
    }
    if (gprs[n] === -1) gprs[n] = c.take('i64');
    c.tee(gprs[n] as number);
  }

  forget(n: number): void {
    const local = this.gprs[n] as number;
    if (local === -1) return;
    this.c.release('i64', local);
    this.gprs[n] = -1;
  }

  pushFlag(name: FlagField): void {
    const { c } = this;
    if (this.flags[name] !== -1) {
      c.get(this.flags[name]);
      return;
    }
    c.get(this.st).mem(FIELDS[name].bits === 64 ? 'i64.load' : 'i32.load', FIELDS[name].at);
  }

  teeFlag(name: FlagField): void {
    const { c, flags } = this;
    // Who reads flOp or flAux knows the producer, and then seldom needs them.
    if (c.level !== this.level || typeOf(name) === 'i32') {
      this.forgetFlag(name);
      return;
    }
    if (flags[name] === -1) flags[name] = c.take(typeOf(name));
    c.tee(flags[name]);
  }

  forgetAll(): void {
    for (let n = 0; n < 16; n++) this.forget(n);
    for (const name of FLAG_FIELDS) this.forgetFlag(name);
  }

  private forgetFlag(name: FlagField): void {
    if (this.flags[name] === -1) return;
    this.c.release(typeOf(name), this.flags[name]);
    this.flags[name] = -1;
  }
}

const FLAG_FIELDS: readonly FlagField[] = ['flRes', 'flX', 'flAux', 'flOp'];

function typeOf(name: FlagField): 'i32' | 'i64' {
  return FIELDS[name].bits === 64 ? 'i64' : 'i32';
}
