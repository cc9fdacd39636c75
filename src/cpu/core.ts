// One vCPU as a whole: instructions counted exactly, faults and interrupts delivered at their counts, whatever the engine.

import { widen } from '../base/widen.ts';
import type { Border, CpuControl, Exit } from './border.ts';
import { DB, EFLAGS_IF, EFLAGS_TF, PF, UD } from './control-bits.ts';
import {
  anyArmed,
  codeArmed,
  codeHits,
  commitDebug,
  DR6_BREAKPOINTS,
  DR6_BS,
  resuming,
} from './debug.ts';
import { deliver, type Event } from './deliver.ts';
import { Interpreter } from './interp/engine.ts';
import { LEAVE } from './interp/quick-deliver.ts';
import { createMmu, type Mmu, type StoreFilter } from './mmu.ts';
import { modeChanged } from './modes.ts';
import { EXIT_VECTOR, exceptionExits, exitBit, POLICY_INTERRUPTS } from './policy.ts';
import { createReferenceEngine } from './reference-engine.ts';
import { reset } from './reset.ts';
import type { Cx } from './slow/define.ts';
import { FIELDS, type Layout, layoutFor, State, type Views, viewsOf } from './state.ts';

/** Why an engine stopped. RIP is that of the next instruction to run (the faulting one's after a fault). */
export type Stop = 'budget' | 'fault' | 'attention';

/** The part of a vCPU that executes instructions: the interpreter, the reference, the JIT. */
export interface Engine {
  readonly name: string;
  /** Runs until the state's budget is used up, a fault is raised, or `attention` is set. */
  run(): Stop;
  /** While a slow path runs: instructions of the budget's prepaid block that have not completed, the current one included. */
  pending(): number;
  /** While a slow path runs: RIP of its instruction. */
  currentRip(): number;
  mayActNow(): boolean;
  restart(): void;
  /** Whether decoded code lies in these bytes; if so, `codeWritten` drops it. */
  codeAt(gpa: number, bytes: number): boolean;
  codeWritten(gpa: number, bytes: number): void;
  /** Numbers about how it works, by name. */
  stats?(): Readonly<Record<string, number>>;
}

export type EngineName = 'jit' | 'interpreter' | 'reference';

export interface CpuOptions {
  readonly ramBytes: number;
  readonly border: Border;
  readonly engine: EngineName;
  /** Counts what costs time to count, for --stats. */
  readonly counting?: boolean;
  /** Of the JIT: entries of a block, and hot blocks, before they are translated. */
  readonly jit?: {
    readonly threshold: number;
    readonly batch: number;
    readonly freeDrops?: number;
  };
  /** Not 0: stops after random numbers of instructions and empties the TLB now and then, at counts that this seed gives; for tests. */
  readonly disturb?: number;
}

/** What an engine is made of. */
export interface EngineParts {
  readonly memory: WebAssembly.Memory;
  readonly views: Views;
  readonly layout: Layout;
  readonly state: State;
  readonly mmu: Mmu;
  readonly cx: Cx & {
    insn: { osize: number; asize: number; mode: number; length: number };
    enter: Cx['enter'];
  };
  /** Bytes that are no instruction raise #UD; one that we lack, or code outside RAM, ends the run. */
  undecodable(gpa: number, why: 'undefined' | 'too-long' | 'not-ram'): void;
  /**
   * At a boundary at which an interrupt is accepted and nothing else is due: its vector, NO_VECTOR, or LEAVE if the engine has
   * to be left. What was withheld of the budget is given back.
   */
  acknowledge(): number;
  /**
   * At a boundary at which no interrupt is accepted and nothing else is due: does what was asked for at this count, if it is
   * that. 0: the engine is to be left.
   */
  due(): 0 | 1;
  /** Delivers that vector by the slow way. 0: the engine is to be left. */
  deliver(vector: number): 0 | 1;
}

/** A vCPU and its linear memory. */
export interface Cpu extends CpuControl {
  readonly state: State;
  readonly views: Views;
  readonly layout: Layout;
  readonly mmu: Mmu;
  readonly cx: Cx;
  readonly memory: WebAssembly.Memory;
  readonly engine: Engine;
  /** Hears of stores to frames with FRAME_WATCH, when they have been made. */
  onWatched: ((gpa: number, bytes: number) => void) | null;
  /**
   * Runs at most `budget` instructions. `due` does what falls due at a count that was asked for, and says whether the guest may
   * go on at once: without it, or if not, the exit is `due`.
   */
  run(budget: number, due?: () => boolean): Exit;
  /** After an exit: counts the instruction at RIP, which somebody else has executed, and goes on behind its `bytes`. */
  complete(bytes: number): void;
  /** While an instruction is answered in place as an exit would be: whether it counts as completed already. */
  countRunning(counts: boolean): void;
  /**
   * After a #PF exit: runs the instruction at RIP once more, with its store to the page of `va` handed to `filter`. False:
   * it has done nothing (the filter refused, or something else of it faults).
   */
  stepWithStore(va: number, filter: StoreFilter): boolean;
  /**
   * After a fault that exits: runs the instruction at RIP as if at this privilege level, and goes back to the old one unless it
   * has changed it. False: it has faulted all the same, and done nothing.
   */
  stepAt(cpl: number): boolean;
  /** Nanoseconds that the halted machine has skipped so far: they count for the TSC as instructions do. */
  setSkipped(nanos: number): void;
  /** RIP of the instruction whose slow path asks, or of the next one to run. */
  currentRip(): number;
  /** RFLAGS.IF. */
  interruptsEnabled(): boolean;
  /** Pends a non-maskable interrupt, taken at the next instruction boundary at which none is in service. */
  raiseNmi(): void;
  nmiPending(): boolean;
  /** A device or a loader has written RAM: decoded code there is dropped. */
  ramWritten(gpa: number, bytes: number): void;
  /** After registers were set from outside (start of day): recompute what hangs on them. */
  stateChanged(): void;
}

const MAX_GRANT = 1 << 30;
/** Instructions between two disturbances; one in 64 empties the TLB. */
const DISTURB_AT_MOST = 60_000;
const FLUSH_MASK = 0x3f;
const NMI = 2;
const GP = 13;
const SHADOW_MOV_SS = 2;
const INTERRUPT: Exit = { kind: 'interrupt' };

export function createCpu(options: CpuOptions): Cpu {
  return new VCpu(options);
}

const REQUESTED: Exit = { kind: 'requested' };
const DUE: Exit = { kind: 'due' };
const HALT: Exit = { kind: 'halt' };
const BUDGET: Exit = { kind: 'budget' };

class VCpu implements Cpu {
  readonly memory: WebAssembly.Memory;
  readonly views: Views;
  readonly layout: Layout;
  readonly state: State;
  readonly mmu: Mmu;
  readonly cx: EngineParts['cx'];
  readonly engine: Engine;
  onWatched: ((gpa: number, bytes: number) => void) | null = null;
  private readonly border: Border;
  private readonly budgetWord: number;
  private readonly slackWord: number;
  /** Instructions completed before the current grant, and the grant. */
  private total = 0;
  private granted = 0;
  /** 1: the running instruction counts as completed. */
  private running = 0;
  private disturbance: number;
  private disturbAt = 0;
  private exitRequested = false;
  /** The retired count at which `run` is to return with `due`. */
  private exitAt = Number.POSITIVE_INFINITY;
  /** Where `run` ends, and what it was given to do at such a count. */
  private limit = 0;
  private onDue: (() => boolean) | null = null;
  private ended: Exit | null = null;
  /** What came of an interrupt that was delivered within the engine, or of what was due there. */
  private broken: Exit | null = null;
  /** The exits by policy, made once. */
  private readonly exception = {
    kind: 'exception' as const,
    vector: 0,
    error: null as number | null,
    address: 0,
  };
  private readonly instruction = { kind: 'instruction' as const, policy: 0, bytes: 0 };

  constructor({ ramBytes, border, engine, counting = false, disturb = 0, jit }: CpuOptions) {
    widen(this, 'total', 'granted');
    widen(this.exception, 'address');
    this.border = border;
    this.disturbance = disturb | 0;
    this.layout = layoutFor(ramBytes);
    this.memory = new WebAssembly.Memory({
      initial: Math.ceil((this.layout.ramBase + ramBytes) / 65536),
    });
    this.views = viewsOf(this.memory);
    this.state = new State(this.views, this.layout.state);
    this.budgetWord = (this.layout.state + FIELDS.budget.at) >> 2;
    this.slackWord = (this.layout.state + FIELDS.slack.at) >> 2;
    const hooks = {
      mayActNow: () => this.engine.mayActNow(),
      restart: () => this.engine.restart(),
      codeAt: (gpa: number, bytes: number) => this.engine.codeAt(gpa, bytes),
      codeWritten: (gpa: number, bytes: number) => this.engine.codeWritten(gpa, bytes),
      watchedWritten: (gpa: number, bytes: number) => this.onWatched?.(gpa, bytes),
      debugHit: () => this.kick(),
    };
    this.mmu = createMmu({ layout: this.layout, state: this.state, border, hooks });
    this.cx = {
      state: this.state,
      mmu: this.mmu,
      border,
      insn: { osize: 0, asize: 0, mode: 0, length: 0 },
      retired: () => this.retired(),
      tsc: () =>
        BigInt.asUintN(
          64,
          BigInt(this.retired()) + this.state.get64('skipped') + this.state.get64('tscOffset'),
        ),
      modeChanged: () => this.stateChanged(),
      checkInterrupts: () => this.checkInterrupts(),
      enter: null,
    };
    reset(this.state);
    this.stateChanged();
    const parts: EngineParts = {
      memory: this.memory,
      views: this.views,
      layout: this.layout,
      state: this.state,
      mmu: this.mmu,
      cx: this.cx,
      undecodable: (gpa, why) => this.undecodable(gpa, why),
      acknowledge: () => this.acknowledge(),
      due: () => this.dueWithin(),
      deliver: (vector) => this.deliverWithin(vector),
    };
    this.engine =
      engine === 'reference'
        ? createReferenceEngine(parts)
        : new Interpreter(parts, { tiered: engine === 'jit', counting, ...jit });
  }

  retired(): number {
    const { i32 } = this.views;
    const left = (i32[this.budgetWord] as number) + (i32[this.slackWord] as number);
    return this.total + this.granted - left - this.engine.pending() + this.running;
  }

  currentRip(): number {
    return this.engine.currentRip();
  }

  setInterruptLine(level: boolean): void {
    this.state.setWord(FIELDS.irqLine, level ? 1 : 0);
    if (level && this.state.word(FIELDS.eflags) & EFLAGS_IF) this.kick();
  }

  setSkipped(nanos: number): void {
    this.state.setVa(FIELDS.skipped, nanos);
  }

  interruptsEnabled(): boolean {
    return (this.state.word(FIELDS.eflags) & EFLAGS_IF) !== 0;
  }

  raiseNmi(): void {
    this.state.setWord(FIELDS.nmiPending, 1);
    this.kick();
  }

  nmiPending(): boolean {
    return this.state.word(FIELDS.nmiPending) !== 0;
  }

  requestExit(): void {
    this.exitRequested = true;
    this.kick();
  }

  requestExitAt(retired: number): void {
    if (retired >= this.exitAt) return;
    this.exitAt = retired;
    const over = this.total + this.granted - retired;
    if (over <= 0) return;
    const { i32 } = this.views;
    const left = i32[this.budgetWord] as number;
    // A block that is paid for may go beyond it; the next grant ends there.
    if (over >= left || i32[this.slackWord] !== 0) return this.kick();
    i32[this.budgetWord] = left - over;
    this.granted -= over;
    this.state.setVa(FIELDS.horizon, retired);
  }

  stateChanged(): void {
    modeChanged(this.state, this.layout);
  }

  ramWritten(gpa: number, bytes: number): void {
    if (this.engine.codeAt(gpa, bytes)) this.engine.codeWritten(gpa, bytes);
  }

  run(budget: number, due: (() => boolean) | null = null): Exit {
    const limit = this.retired() + budget;
    this.limit = limit;
    this.onDue = due;
    const { state } = this;
    for (;;) {
      state.setWord(FIELDS.attention, 0);
      if (this.ended) return this.ended;
      if (this.exitRequested) {
        this.exitRequested = false;
        return REQUESTED;
      }
      const now = this.retired();
      const broken = this.takeTraps(now) ?? this.takeInterrupt(now);
      if (broken) return broken;
      if (state.word(FIELDS.halted)) return HALT;
      if (now >= limit) return BUDGET;
      if (now >= this.exitAt) {
        this.exitAt = Number.POSITIVE_INFINITY;
        if (due?.()) continue;
        return DUE;
      }
      const exit = this.runGrant(now, Math.min(limit, this.exitAt) - now);
      if (exit) return exit;
    }
  }

  complete(bytes: number): void {
    const { state } = this;
    const next = state.getVa(FIELDS.rip) + bytes;
    state.setVa(FIELDS.rip, state.word(FIELDS.codeMode) === 64 ? next : next >>> 0);
    this.total++;
    if (state.word(FIELDS.eflags) & EFLAGS_TF)
      state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) | DR6_BS);
  }

  countRunning(counts: boolean): void {
    this.running = counts ? 1 : 0;
  }

  stepWithStore(va: number, filter: StoreFilter): boolean {
    this.mmu.divert(va, filter);
    const done = this.step();
    this.mmu.divert(0, null);
    return done;
  }

  stepAt(cpl: number): boolean {
    const { state } = this;
    const own = state.word(FIELDS.cpl);
    state.setWord(FIELDS.cpl, cpl);
    this.stateChanged();
    const done = this.step();
    if (state.word(FIELDS.cpl) === cpl) state.setWord(FIELDS.cpl, own);
    this.stateChanged();
    return done;
  }

  /** One instruction, whatever else is due. False: it has faulted. */
  private step(): boolean {
    const { state } = this;
    this.total = this.retired();
    this.grant(1);
    state.setWord(FIELDS.stop, 0);
    state.setWord(FIELDS.attention, 0);
    state.setWord(FIELDS.faultsStop, 1);
    if (this.engine.run() === 'fault') return false;
    if (state.word(FIELDS.eflags) & EFLAGS_TF)
      state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) | DR6_BS);
    return true;
  }

  /** Runs up to the next event, or one instruction while something has to be looked at after each. */
  private runGrant(now: number, most: number): Exit | null {
    const { state } = this;
    const stepping = (state.word(FIELDS.eflags) & EFLAGS_TF) !== 0;
    const watching = anyArmed(state) && codeArmed(state);
    if (watching && !resuming(state, now)) {
      const hits = this.shadowKind(now) === SHADOW_MOV_SS ? 0 : codeHits(state, this.linearRip());
      if (hits !== 0) return this.debugException(hits, 'fault');
    }
    if (stepping) state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) | DR6_BS);
    const alone = stepping || watching || this.shadowKind(now) !== 0;
    this.total = now;
    const undisturbed = this.disturbance === 0 ? MAX_GRANT : this.disturb(now);
    this.grant(alone ? 1 : Math.min(most, undisturbed));
    state.setWord(FIELDS.stop, 0);
    state.setWord(FIELDS.faultsStop, alone ? 1 : 0);
    const stop = this.engine.run();
    if (this.broken) return this.endedBy(this.broken);
    if (stop === 'fault') {
      if (this.ended) return this.ended;
      state.setWord(FIELDS.pendingDebug, 0);
      return this.fault();
    }
    // Between two iterations of a repeated instruction RF is 1. SDM 3B 18.3.1.1.
    if (state.word(FIELDS.stop)) state.setVa(FIELDS.rfAt, this.retired() + 1);
    // An instruction that has left the engine unrun (a kick before it) is not stepped over.
    if (stepping && this.retired() === now)
      state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) & ~DR6_BS);
    return null;
  }

  /** What the engine may run from `total` on. */
  private grant(instructions: number): void {
    const { state } = this;
    this.granted = instructions;
    state.setWord(FIELDS.budget, instructions);
    state.setWord(FIELDS.slack, 0);
    state.setVa(FIELDS.horizon, this.total + instructions);
  }

  /** Instructions to the next disturbance: at a retired count, since engines stop where they like in between. */
  private disturb(now: number): number {
    if (now < this.disturbAt) return this.disturbAt - now;
    let x = this.disturbance;
    x ^= x << 13; // Marsaglia, Xorshift RNGs, 2003.
    x ^= x >>> 17;
    x ^= x << 5;
    this.disturbance = x;
    if ((x & FLUSH_MASK) === 0) this.mmu.flushAll();
    this.disturbAt = now + 1 + ((x >>> 8) % DISTURB_AT_MOST);
    return this.disturbAt - now;
  }

  private linearRip(): number {
    const { state } = this;
    if (state.word(FIELDS.codeMode) === 64) return state.getVa(FIELDS.rip);
    return (state.word(FIELDS.rip) + state.segBase(1)) >>> 0;
  }

  /** Makes the engine stop at the next instruction boundary. */
  private kick(): void {
    const { state } = this;
    state.setWord(FIELDS.attention, 1);
    state.withholdBudget();
  }

  /** IF was set or a shadow began. A shadow delays only what waits, or comes while it is in force. */
  private checkInterrupts(): void {
    if (this.state.word(FIELDS.irqLine) || this.state.word(FIELDS.nmiPending)) this.kick();
  }

  /** The shadow in force at this retired count: 0 none, 1 STI, 2 MOV SS. */
  private shadowKind(now: number): number {
    const { state } = this;
    return state.getVa(FIELDS.shadowAt) === now + 1 ? state.word(FIELDS.shadow) : 0;
  }

  /** What the instruction before has left behind: a task switch's fault, debug traps. SDM 3A table 6-2. */
  private takeTraps(now: number): Exit | null {
    const { state } = this;
    const later = state.word(FIELDS.laterVector);
    if (later !== 0) {
      state.setWord(FIELDS.laterVector, 0);
      const error = state.word(FIELDS.laterHasError) ? state.word(FIELDS.laterError) : null;
      return this.deliver({ vector: later - 1, error, kind: 'fault' });
    }
    const pending = state.word(FIELDS.pendingDebug);
    if (pending === 0) return null;
    if (this.shadowKind(now) === SHADOW_MOV_SS) {
      // Breakpoints wait for the next instruction; its own step replaces this one's. SDM 3A 6.8.3.
      state.setWord(FIELDS.pendingDebug, pending & DR6_BREAKPOINTS);
      return null;
    }
    state.setWord(FIELDS.pendingDebug, 0);
    return this.debugException(pending, 'trap');
  }

  private debugException(bits: number, kind: 'fault' | 'trap'): Exit | null {
    commitDebug(this.state, bits);
    return this.deliver({ vector: DB, error: null, kind });
  }

  private deliver(event: Event): Exit | null {
    if (exceptionExits(this.state, event.vector) && event.kind !== 'software') {
      // An NMI that exits is vector 2; maskable interrupts have an exit of their own.
      if (event.kind !== 'interrupt' || event.vector === NMI) return this.exceptionExit(event);
    }
    if (deliver(this.cx, event) === 'ok') return null;
    const why =
      event.kind === 'interrupt'
        ? 'triple fault while delivering an interrupt'
        : `triple fault; the first exception was vector ${event.vector}`;
    return this.ended ?? { kind: 'shutdown', why };
  }

  /** Delivers a pending interrupt if the CPU accepts one now. */
  private takeInterrupt(now: number): Exit | null {
    const { state } = this;
    if (this.shadowKind(now) !== 0) return null;
    if (state.word(FIELDS.nmiPending) && !state.word(FIELDS.nmiMasked)) {
      state.setWord(FIELDS.nmiPending, 0);
      state.setWord(FIELDS.nmiMasked, 1);
      state.setWord(FIELDS.halted, 0);
      return this.deliver({ vector: NMI, error: null, kind: 'interrupt' });
    }
    if (!state.word(FIELDS.irqLine) || !(state.word(FIELDS.eflags) & EFLAGS_IF)) return null;
    if (state.word(FIELDS.policy) & POLICY_INTERRUPTS) {
      state.setWord(FIELDS.halted, 0);
      return INTERRUPT;
    }
    const vector = this.border.acknowledgeInterrupt();
    if (vector < 0) return null;
    state.setWord(FIELDS.halted, 0);
    return this.deliver({ vector, error: null, kind: 'interrupt' });
  }

  /** As takeInterrupt, for an engine that is running. */
  private acknowledge(): number {
    if (this.exitRequested || this.ended) return LEAVE;
    // What would be given back goes beyond it.
    if (this.exitAt < this.total + this.granted) return LEAVE;
    const { state } = this;
    state.setWord(FIELDS.attention, 0);
    state.giveBackBudget();
    return this.border.acknowledgeInterrupt();
  }

  /** As `run` and its caller, for an engine that is running. */
  private dueWithin(): 0 | 1 {
    if (this.exitRequested || this.ended || this.disturbance !== 0 || !this.onDue) return 0;
    const now = this.retired();
    if (now < this.exitAt || now >= this.limit) return 0;
    this.exitAt = Number.POSITIVE_INFINITY;
    this.state.setWord(FIELDS.attention, 0);
    this.total = now;
    this.grant(Math.min(this.limit - now, MAX_GRANT));
    if (this.onDue()) return 1;
    this.broken = DUE;
    this.kick();
    return 0;
  }

  private deliverWithin(vector: number): 0 | 1 {
    this.broken = this.deliver({ vector, error: null, kind: 'interrupt' });
    return this.broken ? 0 : 1;
  }

  private endedBy(exit: Exit): Exit {
    this.broken = null;
    return exit;
  }

  private fault(): Exit | null {
    const { state } = this;
    const vector = state.word(FIELDS.faultVector);
    if (vector >= EXIT_VECTOR) {
      this.instruction.policy = exitBit(vector);
      this.instruction.bytes = this.cx.insn.length;
      return this.instruction;
    }
    const error = state.word(FIELDS.faultHasError) ? state.word(FIELDS.faultError) : null;
    return this.deliver({ vector, error, kind: 'fault' });
  }

  private exceptionExit({ vector, error }: Event): Exit {
    const exit = this.exception;
    exit.vector = vector;
    exit.error = error;
    exit.address = vector === PF ? this.state.getVa(FIELDS.faultAddress) : 0;
    return exit;
  }

  private undecodable(gpa: number, why: 'undefined' | 'too-long' | 'not-ram'): void {
    const { state } = this;
    if (why === 'too-long') {
      state.raise(GP, 0);
      return;
    }
    if (why === 'undefined') {
      state.raise(UD, null);
      return;
    }
    state.setWord(FIELDS.faultsStop, 1);
    const rip = state.get64('rip').toString(16);
    this.ended = {
      kind: 'unsupported',
      why: `the guest jumped to 0x${rip}, guest-physical 0x${gpa.toString(16)}, which is not RAM`,
    };
    state.raise(UD, null);
  }
}
