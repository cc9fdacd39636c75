// The machine's end of the wire to its CPU, which is built after the devices that drive it.

import type { CpuControl, MachineExit } from '../cpu/border.ts';

/** The CPU as the main loop needs it. */
export interface MachineCpu extends CpuControl {
  /** Runs at most `budget` instructions. `due` runs the timers at a count that was asked for; true: go on at once. */
  run(budget: number, due: () => boolean): MachineExit;
  /** RFLAGS.IF; asked only after a `halt` exit. */
  interruptsEnabled(): boolean;
  /** Halted by the interface in one of its calls, which ends without an interrupt. */
  waitsInCall?(): boolean;
  /** False: the interface has ended a halt. */
  halted?(): boolean;
  /** Whoever is beneath the guest may end it in its own way now: halted with interrupts off, or a triple fault. */
  dead?(): void;
  tripleFault?(why: string): void;
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
  private readonly lines = { devices: false, interface: false };

  connect(cpu: MachineCpu): void {
    this.cpu = cpu;
    cpu.setInterruptLine(this.interruptLine());
  }

  retired(): number {
    return this.cpu === null ? 0 : this.cpu.retired();
  }

  interruptLine(): boolean {
    return this.lines.devices || this.lines.interface;
  }

  /** INTR of the interrupt controllers. */
  setInterruptLine(level: boolean): void {
    if (level === this.lines.devices) return;
    this.lines.devices = level;
    if (!this.lines.interface) this.cpu?.setInterruptLine(level);
  }

  /** Beside it, for an interface that has events of its own. */
  setInterfaceLine(level: boolean): void {
    if (level === this.lines.interface) return;
    this.lines.interface = level;
    if (!this.lines.devices) this.cpu?.setInterruptLine(level);
  }

  requestExit(): void {
    this.cpu?.requestExit();
  }

  requestExitAt(retired: number): void {
    this.cpu?.requestExitAt(retired);
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

  save(): { devices: boolean; interface: boolean } {
    return { ...this.lines };
  }

  restore(state: { devices: boolean; interface: boolean }): void {
    Object.assign(this.lines, state);
    this.cpu?.setInterruptLine(this.interruptLine());
  }
}
