// A small processor for machine tests: it counts, takes interrupts, halts, and runs a script instead of instructions.

import type { MachineExit } from '../../cpu/border.ts';
import type { MachineCpu } from '../cpu-link.ts';

/** What one instruction does: nothing, or it leaves the CPU. */
export type Step = (cpu: SteppedCpu) => MachineExit | null;

export class SteppedCpu implements MachineCpu {
  count = 0;
  interruptFlag = true;
  line = false;
  nmis = 0;
  /** Vectors taken, with the count at which they were. */
  readonly taken: { vector: number; retired: number }[] = [];
  /** Called for every instruction; the default is a loop of nops. */
  step: Step = () => null;
  acknowledge: () => number = () => -1;
  private leave = false;
  private leaveAt = Number.POSITIVE_INFINITY;

  retired(): number {
    return this.count;
  }

  setInterruptLine(level: boolean): void {
    this.line = level;
  }

  requestExit(): void {
    this.leave = true;
  }

  requestExitAt(retired: number): void {
    this.leaveAt = Math.min(this.leaveAt, retired);
  }

  interruptsEnabled(): boolean {
    return this.interruptFlag;
  }

  raiseNmi(): void {
    this.nmis++;
  }

  nmiPending(): boolean {
    return this.nmis > 0;
  }

  run(budget: number, due: () => boolean = () => false): MachineExit {
    for (let i = 0; i < budget; i++) {
      if (this.leave) {
        this.leave = false;
        return { kind: 'requested' };
      }
      this.takeInterrupts();
      if (this.count >= this.leaveAt) {
        this.leaveAt = Number.POSITIVE_INFINITY;
        if (!due()) return { kind: 'due' };
        this.takeInterrupts();
      }
      const exit = this.step(this);
      this.count++;
      if (exit !== null) return exit;
    }
    return { kind: 'budget' };
  }

  private takeInterrupts(): void {
    if (this.nmis > 0) {
      this.nmis--;
      this.taken.push({ vector: 2, retired: this.count });
    }
    if (!this.line || !this.interruptFlag) return;
    const vector = this.acknowledge();
    if (vector >= 0) this.taken.push({ vector, retired: this.count });
  }
}
