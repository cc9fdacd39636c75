// Drives one instruction at a time on any engine: load code, set registers and memory, step, read back.

import { bug } from '../../base/errors.ts';
import { GPR } from '../isa/build.ts';
import { readStatusFlags, writeStatusFlags } from '../reference/flags.ts';
import { XMM_AT } from '../state.ts';
import {
  createMachine,
  type Engine,
  type Machine,
  readRam,
  type StepResult,
  writeRam,
} from './machine.ts';
import { modeOf, type Setup, WORLD } from './world.ts';

const STATUS = 0x8d5;

/** CPU tests are written against this, so that one test runs on every engine. STYLE.md 12. */
export class Driver {
  readonly machine: Machine;
  private readonly engine: Engine;

  constructor(engine: Engine, setup: Setup = 'long') {
    this.engine = engine;
    this.machine = createMachine(setup);
  }

  /** Puts code at the start of the code region and RIP there. `code`: bytes, or hex text. */
  load(code: string | readonly number[]): this {
    writeRam(this.machine, WORLD.code.at, typeof code === 'string' ? fromHex(code) : code);
    this.machine.state.set64('rip', BigInt(this.machine.setup === 'real' ? 0 : WORLD.code.at));
    return this;
  }

  step(): StepResult {
    return this.engine.step(this.machine);
  }

  /** Steps until RIP is behind `bytes` of code or a fault; gives the fault, or 'ok'. */
  run(code: string, limit = 1000): StepResult {
    this.load(code);
    const end = this.rip + BigInt(fromHex(code).length);
    for (let n = 0; n < limit && this.rip !== end; n++) {
      const result = this.step();
      if (result !== 'ok') return result;
    }
    return this.rip === end ? 'ok' : bug(`the code did not end after ${limit} steps`);
  }

  get rip(): bigint {
    return this.machine.state.get64('rip');
  }
  /** A general register by its 64-bit name. */
  get(name: string): bigint {
    return this.machine.state.gpr(registerNumber(name));
  }
  set(name: string, value: bigint | number): this {
    const bits = modeOf(this.machine.setup) === 64 ? 64 : 32;
    this.machine.state.setGpr(registerNumber(name), BigInt.asUintN(bits, BigInt(value)));
    return this;
  }
  /** The six status flags at their EFLAGS places. */
  get flags(): number {
    return readStatusFlags(this.machine.state);
  }
  setFlags(flags: number): this {
    writeStatusFlags(this.machine.state, flags & STATUS);
    return this;
  }
  xmm(n: number): bigint {
    const { state, views } = this.machine;
    const at = (state.base + XMM_AT + n * 16) >> 3;
    return (views.u64[at] as bigint) | ((views.u64[at + 1] as bigint) << 64n);
  }
  setXmm(n: number, value: bigint): this {
    const { state, views } = this.machine;
    const at = (state.base + XMM_AT + n * 16) >> 3;
    views.u64[at] = BigInt.asUintN(64, value);
    views.u64[at + 1] = BigInt.asUintN(64, value >> 64n);
    return this;
  }
  /** Memory by physical address (which in the test world is the virtual one), little endian. */
  read(gpa: number, bytes: number): bigint {
    return readRam(this.machine, gpa, bytes).reduceRight((sum, b) => (sum << 8n) | BigInt(b), 0n);
  }
  write(gpa: number, bytes: number, value: bigint | number): this {
    const v = BigInt(value);
    const list = Array.from({ length: bytes }, (_, n) => Number((v >> BigInt(8 * n)) & 0xffn));
    writeRam(this.machine, gpa, list);
    return this;
  }
}

function registerNumber(name: string): number {
  const n = (GPR as readonly string[]).indexOf(name);
  return n >= 0 ? n : bug(`${name} is no general register`);
}

export function fromHex(text: string): number[] {
  return (text.replace(/\s/g, '').match(/../g) ?? []).map((b) => Number.parseInt(b, 16));
}
