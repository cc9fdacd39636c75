// Runs the same case on two engines and says how they differ.

import { type Case, describeCase, prepareCase } from './cases.ts';
import { firstDifference, ramDifference, registerDifference, registersOf } from './compare.ts';
import { createMachine, type Engine, type Machine, type StepResult } from './machine.ts';
import { WORLD } from './world.ts';

/** Accessed and dirty flags of page-table entries are set by accesses that fault, too. */
const TABLES_END = WORLD.tables.at + WORLD.tables.pages * 4096;

/** Compares `a` and `b` case by case, on machines that are made once. */
export class Differential {
  private readonly a: Engine;
  private readonly b: Engine;
  private readonly machineA = createMachine();
  private readonly machineB = createMachine();

  constructor(a: Engine, b: Engine) {
    this.a = a;
    this.b = b;
  }

  /** The first difference, with the case that shows it; null: none. */
  compare(c: Case): string | null {
    prepareCase(this.machineA, c);
    prepareCase(this.machineB, c);
    const ra = this.a.step(this.machineA);
    const rb = this.b.step(this.machineB);
    const found = firstDifference(this.machineA, this.machineB, ra, rb);
    return found === null
      ? null
      : `${describeCase(c)}: ${found} (${this.a.name} against ${this.b.name})`;
  }
}

/** Checks one engine by itself: that a fault leaves no trace. */
export class FaultChecker {
  private readonly engine: Engine;
  private readonly before = createMachine();
  private readonly after = createMachine();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Steps the case. `trace`: what a faulting instruction changed nevertheless. */
  run(c: Case): { result: StepResult; trace: string | null; machine: Machine } {
    prepareCase(this.after, c);
    const result = this.engine.step(this.after);
    if (result !== 'ok') prepareCase(this.before, c);
    const trace = result === 'ok' ? null : this.trace();
    return { result, machine: this.after, trace: trace && `${describeCase(c)}: ${trace}` };
  }

  private trace(): string | null {
    return (
      registerDifference(registersOf(this.before), registersOf(this.after)) ??
      ramDifference(this.before, this.after, TABLES_END)
    );
  }
}
