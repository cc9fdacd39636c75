// The machine's main loop: runs the CPU to the next event, runs what is due, and knows how to wait in a halt.

import type { MachineExit } from '../cpu/border.ts';
import type { Clock } from './clock.ts';
import { NEVER } from './clock.ts';
import type { CpuLink, MachineCpu } from './cpu-link.ts';
import type { InputBody, Inputs, InputTarget } from './inputs.ts';
import type { Power } from './power.ts';
import type { RequestEnd } from './request-end.ts';
import type { SnapshotSlots } from './snapshot.ts';

/** What the loop needs of a machine model. */
export interface MachineParts {
  readonly clock: Clock;
  readonly inputs: Inputs;
  readonly power: Power;
  readonly link: CpuLink;
  readonly snapshots: SnapshotSlots;
  /** Whether an NMI can ever come: a halt with interrupts off is then not the end. */
  mayRaiseNmi(): boolean;
  /** Whoever passes requests on to the guest. */
  readonly requests: RequestEnd;
  /** Hands an outside event to its device. */
  apply(input: InputBody): void;
  /** What the run's console types on. */
  consoleTarget(): InputTarget;
  /** How many typed bytes this target takes now. */
  room(to: InputTarget): number;
}

export interface MachineOptions {
  /**
   * `virtual`: a halted machine jumps to its next event. `wall`: it waits until the host says that it is later
   * (`wake`), and each such word is a recorded input.
   */
  readonly time: 'virtual' | 'wall';
  /** Asked after each exit that somebody requested; true ends the run with `requested`. */
  readonly attend?: () => boolean;
}

/** Why `Machine.run` came back. */
export type Stop =
  /** The bounds given to `run` are reached; nothing is wrong. */
  | { readonly kind: 'slice' }
  /** Halted, and only an input can end it. */
  | { readonly kind: 'idle' }
  /** Wall time: halted until `wakeAt` on the machine's clock, or until an input. */
  | { readonly kind: 'asleep'; readonly wakeAt: number }
  | { readonly kind: 'requested' }
  | { readonly kind: 'off'; readonly why: string }
  | { readonly kind: 'reset'; readonly why: string }
  | { readonly kind: 'ended'; readonly why: string }
  | { readonly kind: 'crashed'; readonly why: string }
  /** Halted with interrupts off, and nothing can wake it. */
  | { readonly kind: 'dead'; readonly why: string }
  | { readonly kind: 'shutdown'; readonly why: string }
  | { readonly kind: 'unsupported'; readonly why: string };

export interface RunBounds {
  /** Instructions to run at most. */
  readonly instructions?: number;
  /** The machine's clock to stop at. */
  readonly until?: number;
}

/** About a twentieth of a second of work: a host stays responsive between slices. */
const DEFAULT_SLICE = 10_000_000;
/** Turns of the loop in one slice: bounds the work of a machine that only skips from timer to timer. */
const MAX_TURNS = 100_000;
/** Timers run in one turn: a timer that re-arms itself in the past cannot hold the loop. */
const MAX_TIMERS = 1000;

const SLICE: Stop = { kind: 'slice' };
const IDLE: Stop = { kind: 'idle' };
const REQUESTED: Stop = { kind: 'requested' };

export class Machine {
  readonly parts: MachineParts;
  private readonly clock: Clock;
  private readonly power: Power;
  private readonly cpu: MachineCpu;
  private readonly options: MachineOptions;
  /** `declined`: the CPU has seen the interrupt line up and halts as before: nobody had a vector, and none will before something happens. */
  private readonly state = { halted: false, declined: false };

  constructor(parts: MachineParts, cpu: MachineCpu, options: MachineOptions) {
    this.parts = parts;
    this.clock = parts.clock;
    this.power = parts.power;
    this.cpu = cpu;
    this.options = options;
    parts.link.connect(cpu);
    parts.snapshots.addState('machine', this.state);
  }

  /** Runs until one of the bounds, or until there is something to say. Call it again to go on. */
  run(bounds: RunBounds = {}): Stop {
    const { clock } = this;
    const last = this.cpu.retired() + (bounds.instructions ?? DEFAULT_SLICE);
    const until = bounds.until ?? NEVER;
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const stopped = this.powerStop();
      if (stopped) return stopped;
      this.takeReplayed();
      if (clock.nextDeadline() <= clock.now()) {
        clock.runDue(MAX_TIMERS);
        this.state.declined = false;
        continue;
      }
      if (clock.now() >= until || this.cpu.retired() >= last) return SLICE;
      const waits = this.inputIsDueHere() || this.mustWait();
      const stop = waits ? this.wait(until) : this.execute(last, until);
      if (stop !== null) return stop;
    }
    return SLICE;
  }

  /** Console input from the host; answers how many bytes were taken. The rest is the host's to offer again. */
  consoleInput(bytes: ArrayLike<number>): number {
    return this.type(this.parts.consoleTarget(), bytes);
  }

  type(to: InputTarget, bytes: ArrayLike<number>): number {
    const count = Math.min(bytes.length, this.parts.room(to));
    if (count > 0) this.input({ kind: 'typed', to, bytes: Array.from(bytes).slice(0, count) });
    return count;
  }

  /** A host that works on wall time says how late it is; the clock never goes back. */
  wake(now: number): void {
    this.clock.skipTo(now);
    this.input({ kind: 'wake' });
  }

  input(body: InputBody): void {
    const { clock, inputs } = this.parts;
    this.enter(inputs.accept(body, this.cpu.retired(), clock.now()));
  }

  private enter(event: InputBody): void {
    this.state.declined = false;
    if (event.kind === 'request') this.parts.requests.take(event.what);
    else this.parts.apply(event);
  }

  /** Recorded events whose place has come. */
  private takeReplayed(): void {
    const { clock, inputs } = this.parts;
    for (;;) {
      const event = inputs.take(this.cpu.retired(), clock.now());
      if (!event) return;
      this.enter(event);
    }
  }

  /** A recorded event entered at this very instruction, at a later time: no instruction may run before it. */
  private inputIsDueHere(): boolean {
    const next = this.parts.inputs.peek();
    return next !== undefined && next.retired <= this.cpu.retired();
  }

  /** A halt ends with an interrupt that the CPU accepts, or with an NMI. */
  private mustWait(): boolean {
    if (!this.state.halted) return false;
    const { link } = this.parts;
    const wakes =
      this.cpu.halted?.() === false ||
      link.nmiPending() ||
      (link.interruptLine() && this.cpu.interruptsEnabled() && !this.state.declined);
    if (wakes) this.state.halted = false;
    return !wakes;
  }

  /** Runs the CPU up to the next event. */
  private execute(last: number, until: number): Stop | null {
    const { clock } = this;
    const { inputs } = this.parts;
    const retired = this.cpu.retired();
    const now = clock.now();
    const end = Math.min(clock.nextDeadline(), until);
    let budget = Math.min(end - now, last - retired);
    const next = inputs.peek();
    if (next && next.retired > retired) budget = Math.min(budget, next.retired - retired);
    clock.beginSlice(now + budget);
    const exit = this.cpu.run(budget, this.due);
    clock.endSlice();
    this.state.declined =
      exit.kind === 'halt' && this.cpu.retired() === retired && this.parts.link.interruptLine();
    return this.answer(exit);
  }

  /**
   * A timer that was set within the slice is due within it: it runs as it would between two slices. False: something else is
   * to be seen to first.
   */
  private readonly due = (): boolean => {
    // Though none be due, since it was moved: the CPU hears of the next one by this.
    const ran = this.clock.runDue(MAX_TIMERS);
    this.state.declined = false;
    return this.powerStop() === null && ran < MAX_TIMERS;
  };

  private answer(exit: MachineExit): Stop | null {
    switch (exit.kind) {
      case 'budget':
      case 'due':
        return null;
      case 'requested':
        return this.options.attend?.() ? REQUESTED : null;
      case 'halt':
        this.state.halted = true;
        return null;
      case 'shutdown':
        this.cpu.tripleFault?.(exit.why);
        return this.powerStop() ?? { kind: 'shutdown', why: exit.why };
      case 'unsupported':
        return { kind: 'unsupported', why: exit.why };
    }
  }

  /** Halted: jumps to the next event, or says what the machine waits for. */
  private wait(until: number): Stop | null {
    const { clock, inputs } = this.parts;
    if (this.inputIsDueHere()) {
      // On wall time every advance is a recorded word of the host; on virtual time timers come by themselves.
      const at = inputs.peek()!.now;
      return this.skip(
        this.options.time === 'wall' ? at : Math.min(at, clock.nextDeadline()),
        until,
      );
    }
    const inCall = this.cpu.waitsInCall?.() ?? false;
    if (!inCall && !this.cpu.interruptsEnabled() && !this.parts.mayRaiseNmi()) {
      this.cpu.dead?.();
      return this.powerStop() ?? { kind: 'dead', why: 'halted with interrupts disabled' };
    }
    const next = clock.nextDeadline();
    if (next === NEVER) return IDLE;
    if (this.options.time === 'wall') return { kind: 'asleep', wakeAt: next };
    return this.skip(next, until);
  }

  /** Null: the machine runs. */
  private powerStop(): Stop | null {
    const { state, why } = this.power;
    return state === 'running' ? null : { kind: state, why };
  }

  private skip(to: number, until: number): null {
    this.clock.skipTo(Math.min(to, until));
    return null;
  }
}
