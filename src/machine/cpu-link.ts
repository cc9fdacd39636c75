// The machine's end of the wire to its CPU, which is built after the devices that drive it.

import type { CpuControl, MachineExit } from '../cpu/border.ts';

/** The CPU as the main loop needs it. */
export interface MachineCpu extends CpuControl {
  /** Runs at most `budget` instructions. */
  run(budget: number): MachineExit;
  /** RFLAGS.IF; asked only after a `halt` exit. */
  interruptsEnabled(): boolean;
  /** Pends a non-maskable interrupt, taken at the next instruction boundary. */
  raiseNmi?(): void;
  /** Whether one is pended and not taken yet: it ends a halt, whatever IF says. */
  nmiPending?(): boolean;
}

/** Forwards to the CPU once it is there; before that, time stands at zero and levels are remembered. */
export class CpuLink implements CpuControl {
  /** Non-maskable interrupts that the CPU could not take because it has no such input. */
  lostNmis = 0;
  private cpu: MachineCpu | null = null;
  private level = false;

  connect(cpu: MachineCpu): void {
    this.cpu = cpu;
    cpu.setInterruptLine(this.level);
  }

  retired(): number {
    return this.cpu === null ? 0 : this.cpu.retired();
  }

  interruptLine(): boolean {
    return this.level;
  }

  setInterruptLine(level: boolean): void {
    if (level === this.level) return;
    this.level = level;
    this.cpu?.setInterruptLine(level);
  }

  requestExit(): void {
    this.cpu?.requestExit();
  }

  raiseNmi(): void {
    if (!this.cpu?.raiseNmi) {
      this.lostNmis++;
      return;
    }
    this.cpu.raiseNmi();
  }

  nmiPending(): boolean {
    return this.cpu?.nmiPending?.() ?? false;
  }

  save(): { level: boolean } {
    return { level: this.level };
  }

  restore(state: { level: boolean }): void {
    this.level = state.level;
    this.cpu?.setInterruptLine(state.level);
  }
}
