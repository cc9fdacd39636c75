// The machine's clock: nanoseconds counted in retired instructions, plus what a halted machine skipped; and its timers.

import { bug } from '../base/errors.ts';
import { widen } from '../base/widen.ts';

/** No deadline: later than any time. A number, so that snapshots and comparisons need no special case. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** What the clock needs of the CPU. */
export interface Counter {
  retired(): number;
  requestExitAt(retired: number): void;
}

/** A named slot that one device owns. Its handler runs once at the deadline; a periodic device sets it again. */
export interface Timer {
  readonly name: string;
  set(deadline: number): void;
  cancel(): void;
  deadline(): number;
}

export interface ClockState {
  skipped: number;
  deadlines: Record<string, number>;
}

/** One instruction is one nanosecond (DESIGN.md 5). Timers that fall due together run in the order of registration. */
export class Clock {
  private readonly counter: Counter;
  private readonly onSkip: (skipped: number) => void;
  private skipped = 0;
  private readonly names: string[] = [];
  private readonly handlers: (() => void)[] = [];
  private readonly deadlines: number[] = [];
  private next = NEVER;
  /** The first of those that fall due then. */
  private nextSlot = 0;
  private sliceEnd = 0;

  /** `onSkip` hears the total of skipped nanoseconds each time that it grows: the time stamp counter runs on in a halt. */
  constructor(counter: Counter, onSkip: (skipped: number) => void = () => {}) {
    widen(this, 'skipped', 'sliceEnd');
    this.counter = counter;
    this.onSkip = onSkip;
  }

  now(): number {
    return this.counter.retired() + this.skipped;
  }

  timer(name: string, fire: () => void): Timer {
    if (this.names.includes(name)) bug(`timer ${name} exists twice`);
    const slot = this.names.push(name) - 1;
    this.handlers.push(fire);
    this.deadlines.push(NEVER);
    return {
      name,
      set: (deadline) => this.set(slot, deadline),
      cancel: () => this.set(slot, NEVER),
      deadline: () => this.deadlines[slot]!,
    };
  }

  nextDeadline(): number {
    return this.next;
  }

  /** The caller runs the CPU up to here: a timer set to fall due earlier makes it leave. */
  beginSlice(end: number): void {
    this.sliceEnd = end;
  }

  endSlice(): void {
    this.sliceEnd = 0;
  }

  /** Runs at most `limit` timers that are due, earliest first, and says how many it ran. */
  runDue(limit: number): number {
    const now = this.now();
    let ran = 0;
    while (this.next <= now && ran < limit) {
      const slot = this.nextSlot;
      this.set(slot, NEVER);
      this.handlers[slot]!();
      ran++;
    }
    // Within a slice that goes on: the CPU knows of one deadline at a time.
    if (this.next < this.sliceEnd) this.counter.requestExitAt(this.next - this.skipped);
    return ran;
  }

  /** A halted machine jumps ahead. */
  skipTo(nanos: number): void {
    const ahead = nanos - this.now();
    if (ahead <= 0) return;
    if (nanos >= NEVER) bug('the clock is asked to skip beyond the end of time');
    this.skipped += ahead;
    this.onSkip(this.skipped);
  }

  save(): ClockState {
    const deadlines: Record<string, number> = {};
    for (let i = 0; i < this.names.length; i++) deadlines[this.names[i]!] = this.deadlines[i]!;
    return { skipped: this.skipped, deadlines };
  }

  restore(state: ClockState): void {
    this.skipped = state.skipped;
    for (let i = 0; i < this.names.length; i++) {
      this.deadlines[i] = state.deadlines[this.names[i]!] ?? NEVER;
    }
    this.findNext();
    this.onSkip(this.skipped);
  }

  private set(slot: number, deadline: number): void {
    if (!(deadline >= 0)) bug(`timer ${this.names[slot]} is set to ${deadline}`);
    const old = this.deadlines[slot]!;
    if (old === deadline) return;
    this.deadlines[slot] = Math.min(deadline, NEVER);
    if (deadline < this.next || (deadline === this.next && slot < this.nextSlot)) {
      this.next = deadline;
      this.nextSlot = slot;
    } else if (slot === this.nextSlot) this.findNext();
    if (deadline < this.sliceEnd) this.counter.requestExitAt(deadline - this.skipped);
  }

  private findNext(): void {
    this.next = NEVER;
    this.nextSlot = 0;
    for (let i = 0; i < this.deadlines.length; i++) {
      if (this.deadlines[i]! >= this.next) continue;
      this.next = this.deadlines[i]!;
      this.nextSlot = i;
    }
  }
}
