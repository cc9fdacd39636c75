// One run from its spec to its verdict: the machine in slices, the host in between.

import { BugError, bug } from '../base/errors.ts';
import { widen } from '../base/widen.ts';
import { EFLAGS_IF } from '../cpu/control-bits.ts';
import type { Omission } from '../hypervisors/index.ts';
import type { Stop } from '../machine/machine.ts';
import { Aftermath } from './aftermath.ts';
import { type Assembled, assemble, type ExitCounts } from './assemble.ts';
import { ConsoleLog } from './console-log.ts';
import type { LabConsole, LabHost, Progress } from './host.ts';
import { QUIT } from './requests.ts';
import { ScriptedInput } from './scripted-input.ts';
import {
  checkNumbers,
  checkStart,
  commandLine,
  machineOf,
  QUIET_NANOS,
  type RunSpec,
  type TimedRequest,
} from './spec.ts';
import { stateHash } from './state-hash.ts';
import { touchedBytes } from './touched-bytes.ts';
import { LinkAddress } from './trace/link-address.ts';
import { namesIfAny, symbolAt } from './trace/names.ts';
import { type TraceCount, Tracer } from './trace/tracer.ts';
import { vcpuDump } from './vcpu-dump.ts';
import {
  type Aim,
  absent,
  blind,
  judgeStop,
  judgeText,
  MARKER,
  PANIC_TEXT,
  panicked,
  panicLine,
  type Seen,
  type Verdict,
  type VerdictWord,
} from './verdict.ts';

export interface RunResult {
  readonly verdict: VerdictWord;
  readonly reason: string;
  readonly timedOut: boolean;
  readonly interface: string;
  readonly machine: string;
  readonly kernel: { readonly name: string; readonly version: string; readonly sha256: string };
  readonly engine: string;
  /** How the engine worked, by name. */
  readonly engineStats: Readonly<Record<string, number>>;
  readonly seed: number;
  /** What the interface was without, and how often the guest asked for it. */
  readonly omissions: readonly Omission[];
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly hostCpuSeconds: number;
  /** CPU seconds of the process before the first instruction of the guest. */
  readonly startCpuSeconds: number;
  /** RAM that was ever written, in whole frames. */
  readonly touchedBytes: number;
  readonly exits: Readonly<ExitCounts>;
  /** What the guest asked for, the most frequent first; empty if nobody counted. */
  readonly operations: readonly Pick<TraceCount, 'operations' | 'entryPoint' | 'count'>[];
  readonly stateHash: string;
  readonly consoleBytes: number;
  /** SHA-256 of everything that the console printed. */
  readonly consoleDigest: string;
  readonly lastLines: readonly string[];
  /** The vCPU, if the run ended badly. */
  readonly vcpu: string | null;
}

export interface RunWatcher {
  /** Hears what the guest asks of the interface. It is counted if not given; null: not even that. */
  readonly tracer?: Tracer | null;
  /** Called between two slices, and once at the end: the place to write what a tracer has given. */
  flush?(): Promise<void>;
  /** Hears each byte that the guest prints, as it does. */
  printed?(byte: number): void;
  /** Called after each slice. */
  progress?(progress: Progress): void;
}

/** Instructions between two looks at the host. Fewer while somebody types: they wait for the echo. */
const SLICE = 10_000_000;
const LIVE_SLICE = 2_000_000;
/** Guest time with interrupts off, no output and no interrupt, after which a guest has hung. */
const STUCK_NANOS = 5e9;
/** Guest time that a panic has to print itself and to reset the machine. */
const PANIC_NANOS = 500e6;
/** After the last line of a script: the answer to it is over when the console has been quiet for so long. */
const SCRIPT_END_NANOS = 1e9;
const LAST_LINES = 20;
/** A panic prints a few dozen lines behind its own. */
const PANIC_LINES = 200;
const SECOND = 1e9;
const NEWLINE = 10;

export async function runKernel(
  host: LabHost,
  console: LabConsole,
  spec: RunSpec,
  watcher: RunWatcher = {},
): Promise<RunResult> {
  checkNumbers(spec);
  checkStart(spec);
  const { interface: on } = spec.on;
  const cpuAtStart = host.cpuSeconds();
  const run = new Run(host, console, spec, tracerOf(spec, watcher));
  if (watcher.printed) run.hearing = watcher.printed;
  const lacking = absent(on, spec.kernel);
  // An interface refuses what it cannot start; what was not even built for it is no wrong input.
  if (!lacking) run.start();
  const verdict = lacking ?? (await run.toTheEnd(watcher));
  return run.result(verdict, host.cpuSeconds() - cpuAtStart);
}

/** Without parts of the interface, what the guest does about it has to be told: by the names of its own functions. */
function tracerOf({ on, kernel, omissions = [] }: RunSpec, { tracer }: RunWatcher): Tracer | null {
  if (tracer !== undefined) return tracer;
  const names = omissions.length > 0 ? namesIfAny(kernel) : {};
  const { ops } = on.interface;
  return new Tracer(ops, on.version, { ...names, operations: null, onEvent: null });
}

class Run {
  private readonly host: LabHost;
  private readonly console: LabConsole;
  private readonly spec: RunSpec;
  private readonly aim: Aim;
  private readonly log: ConsoleLog;
  private readonly tracer: Tracer | null;
  private readonly aftermath: Aftermath;
  private readonly made: Assembled;
  private readonly script: ScriptedInput;
  /** Those that are still to come, the next one first. */
  private readonly requests: TimedRequest[];
  private readonly seen: Seen = { goal: false, marker: false, panic: false, failed: false };
  private readonly hostCpuEnd: number;
  /** Hears each byte that is printed. */
  hearing: ((byte: number) => void) | null = null;
  /** A request has been to end the run. */
  private leaving = false;
  /** The run is to come back to this loop at once. */
  private attention = false;
  /** Guest times of the last output or input, of the last sign of life, of the panic. */
  private lastActivity = 0;
  private lastAlive = 0;
  private interruptsSeen = 0;
  private panicAt = -1;
  private startCpuSeconds = 0;
  private typed: Uint8Array = new Uint8Array(0);

  constructor(host: LabHost, console: LabConsole, spec: RunSpec, tracer: Tracer | null) {
    widen(this, 'lastActivity', 'lastAlive');
    this.host = host;
    this.console = console;
    this.spec = spec;
    this.tracer = tracer;
    this.aftermath = new Aftermath(spec.omissions ?? []);
    if (spec.omissions?.length) tracer?.listen((event) => this.aftermath.hear(event));
    this.requests = [...(spec.requests ?? [])].sort((a, b) => a.atNanos - b.atNanos);
    this.script = new ScriptedInput(spec.input.kind === 'script' ? spec.input.bytes : null);
    const { expectText, failText } = spec;
    this.aim = {
      expectText,
      failText,
      untilGuestEnds:
        expectText === null && (spec.input.kind !== 'none' || this.requests.length > 0),
    };
    this.hostCpuEnd = host.cpuSeconds() + (spec.hostCpuSeconds ?? Number.POSITIVE_INFINITY);
    this.log = new ConsoleLog((text) => this.printed(text));
    for (const text of [MARKER, PANIC_TEXT, expectText, failText]) if (text) this.log.watch(text);
    this.made = assemble({
      choice: spec.on,
      ...machineOf(spec),
      memoryBytes: spec.memoryBytes,
      engine: spec.engine,
      counting: spec.counting ?? false,
      disturb: spec.disturb ?? 0,
      time: spec.time,
      epochSeconds: spec.epochSeconds,
      seed: spec.seed,
      tracer,
      transmit: (byte) => this.transmit(byte),
      attend: () => this.attention,
    });
  }

  /** Loads the guest; without a kernel the vCPU stands at the reset vector already. */
  start(): void {
    const { kernel, initrd, boot = 'direct', modules = [] } = this.spec;
    if (!kernel) return;
    const line = commandLine(this.spec);
    this.made.attached.start({ kernel, initrd, commandLine: line, boot, modules });
  }

  async toTheEnd(watcher: RunWatcher): Promise<Verdict> {
    this.startCpuSeconds = this.host.cpuSeconds();
    for (;;) {
      const stop = this.slice();
      const verdict = judgeStop(stop, this.seen, this.aim) ?? this.judge(stop);
      if (this.log.waiting()) await this.console.write(this.log.take());
      await watcher.flush?.();
      if (verdict) return this.checkNoticed(verdict);
      watcher.progress?.(this.progress());
      await this.wait(stop);
    }
  }

  result(verdict: Verdict, hostCpuSeconds: number): RunResult {
    const { cpu, exits, devices } = this.made;
    const { spec } = this;
    const bad = verdict.word !== 'up' && verdict.word !== 'absent';
    return {
      verdict: verdict.word,
      reason: [this.reasonOf(verdict), ...this.aftermath.clauses(bad)].join('; '),
      timedOut: verdict.timedOut ?? false,
      interface: spec.on.name,
      machine: machineOf(spec).model.id,
      kernel: {
        name: spec.kernel?.name ?? spec.fittings?.rom?.name ?? '',
        version: spec.kernel?.version() ?? '',
        sha256: spec.kernelDigest,
      },
      engine: cpu.engine.name,
      engineStats: cpu.engine.stats?.() ?? {},
      seed: spec.seed,
      omissions: (spec.omissions ?? []).map((omission) => ({ ...omission })),
      instructions: cpu.retired(),
      guestSeconds: devices.clock.now() / SECOND,
      hostCpuSeconds,
      startCpuSeconds: this.startCpuSeconds,
      touchedBytes: touchedBytes(cpu),
      exits: { ...exits },
      operations: (this.tracer?.counts() ?? []).map(({ operations, entryPoint, count }) => ({
        ...{ operations, entryPoint, count },
      })),
      stateHash: stateHash(cpu, devices.snapshots, this.host.sha256Hex),
      consoleBytes: this.log.bytes,
      consoleDigest: this.log.digest(),
      lastLines: this.log.lastLines(LAST_LINES),
      vcpu: bad ? vcpuDump(cpu) : null,
    };
  }

  /** With what the kernel itself said of its panic, or where it hangs. */
  private reasonOf({ word, reason }: Verdict): string {
    if (word === 'panic' && this.seen.panic) {
      const line = panicLine(this.log.lastLines(PANIC_LINES));
      return line === null ? reason : `${reason}: ${line}`;
    }
    if (word !== 'hung') return reason;
    const place = this.place();
    return place === null ? reason : `${reason}, now in ${place}`;
  }

  /** Null: the kernel has no symbols, or the vCPU is elsewhere. */
  private place(): string | null {
    const { symbols, elf } = namesIfAny(this.spec.kernel);
    const { cpu } = this.made;
    return symbolAt(cpu, cpu.state.getVa('rip'), symbols, elf && new LinkAddress(elf));
  }

  /** One slice of the machine. What ends it depends on the guest only, so that equal runs stop at equal places. */
  private slice(): Stop {
    this.attention = false;
    const ends = [this.timeoutAt()];
    if (this.requests[0]) ends.push(this.requests[0].atNanos);
    if (this.script.pending()) ends.push(this.quietAt());
    else if (this.scriptDone()) ends.push(this.lastActivity + SCRIPT_END_NANOS);
    if (this.panicAt >= 0) ends.push(this.panicAt + PANIC_NANOS);
    const instructions = this.spec.input.kind === 'live' ? LIVE_SLICE : SLICE;
    try {
      return this.made.machine.run({ instructions, until: Math.max(Math.min(...ends), 0) });
    } catch (error) {
      if (!(error instanceof BugError) || error.dump !== '') throw error;
      return bug(error.message, vcpuDump(this.made.cpu));
    }
  }

  private judge(stop: Stop): Verdict | null {
    const now = this.now();
    const byText = judgeText(this.seen, this.aim);
    if (byText) return byText;
    if (this.panicAt >= 0 && now >= this.panicAt + PANIC_NANOS) return panicked();
    if (this.scriptDone() && now >= this.lastActivity + SCRIPT_END_NANOS)
      return this.scriptVerdict();
    if (this.leaving || this.console.quit()) {
      const reason = this.leaving ? 'ended as asked' : 'ended at the console';
      return this.seen.panic ? panicked() : { word: 'up', reason };
    }
    if (now >= this.timeoutAt())
      return this.outOfTime(`${this.spec.timeoutSeconds} s of guest time`);
    if (this.host.cpuSeconds() >= this.hostCpuEnd) {
      return this.outOfTime(`${this.spec.hostCpuSeconds} CPU seconds of the host`);
    }
    if (stop.kind === 'idle' && !this.mayGetInput()) {
      if (this.scriptDone()) return this.scriptVerdict();
      return { word: 'hung', reason: 'the guest waits for input, and none will come' };
    }
    return this.stuck(now);
  }

  /** A guest that runs with interrupts off for seconds, without a word, will do so for ever. */
  private stuck(now: number): Verdict | null {
    const { cpu, exits } = this.made;
    if (cpu.state.get('eflags') & EFLAGS_IF || exits.interrupt !== this.interruptsSeen) {
      this.lastAlive = now;
      this.interruptsSeen = exits.interrupt;
    }
    if (now - this.lastAlive < STUCK_NANOS) return null;
    const rip = BigInt.asUintN(64, cpu.state.get64('rip')).toString(16);
    return {
      word: 'hung',
      reason: `the guest has run for ${STUCK_NANOS / SECOND} s with interrupts off and printed nothing, now at 0x${rip}`,
    };
  }

  private outOfTime(limit: string): Verdict {
    if (this.seen.panic) return panicked();
    const goal = this.aim.expectText === null ? MARKER : `'${this.aim.expectText}'`;
    const reason = this.aim.untilGuestEnds
      ? `the guest was still running after ${limit}`
      : `the console did not print ${goal} within ${limit}`;
    return { word: 'hung', reason, timedOut: true };
  }

  private scriptVerdict(): Verdict {
    if (this.aim.expectText !== null) {
      return {
        word: 'hung',
        reason: `the input is used up and the console did not print '${this.aim.expectText}'`,
      };
    }
    return this.seen.marker
      ? { word: 'up', reason: 'the input is used up and the guest is quiet' }
      : { word: 'hung', reason: `the input is used up and the guest is quiet without ${MARKER}` };
  }

  private checkNoticed(verdict: Verdict): Verdict {
    if (verdict.word !== 'up' || this.made.attached.noticed()) return verdict;
    const { id, guestNeeds } = this.spec.on.interface;
    return blind(id, guestNeeds);
  }

  /** Between two slices: the host's events, input, and on wall time the guest's sleep. */
  private async wait(stop: Stop): Promise<void> {
    this.passRequests(stop);
    if (this.spec.input.kind === 'live') await this.waitLive(stop);
    else {
      const quietAt = this.script.pending() ? this.quietAt() : Number.POSITIVE_INFINITY;
      if (stop.kind === 'asleep') await this.sleep(Math.min(stop.wakeAt, quietAt));
      else await this.host.breathe();
      this.feedScript(stop);
    }
  }

  private async waitLive(stop: Stop): Promise<void> {
    this.takeTyped();
    if (this.typed.length > 0 || (stop.kind !== 'asleep' && stop.kind !== 'idle')) {
      await this.host.breathe();
      if (this.typed.length === 0) this.takeTyped();
    } else {
      await this.sleep(stop.kind === 'asleep' ? stop.wakeAt : Number.POSITIVE_INFINITY);
      this.takeTyped();
    }
    if (this.typed.length === 0) return;
    const taken = this.made.machine.consoleInput(this.typed);
    this.typed = this.typed.subarray(taken);
  }

  /** Rests until the guest's timer is due by the host's clock, or until something is typed; then tells the machine. */
  private async sleep(wakeAt: number): Promise<void> {
    const from = this.host.nanos();
    const now = this.now();
    await this.host.rest(Math.min(wakeAt, this.timeoutAt()) - now);
    if (this.spec.time === 'wall') this.made.machine.wake(now + (this.host.nanos() - from));
  }

  private takeTyped(): void {
    const bytes = this.console.read();
    if (bytes.length === 0) return;
    const joined = new Uint8Array(this.typed.length + bytes.length);
    joined.set(this.typed);
    joined.set(bytes, this.typed.length);
    this.typed = joined;
  }

  /** Those whose time has come; a guest that waits for nothing else gets the next one's time with it. */
  private passRequests(stop: Stop): void {
    for (const what of this.console.requests?.() ?? []) this.request(what);
    for (let idle = stop.kind === 'idle'; ; idle = false) {
      const next = this.requests[0];
      if (!next || (!idle && this.now() < next.atNanos)) return;
      this.requests.shift();
      this.made.machine.wake(next.atNanos);
      this.request(next.what);
    }
  }

  private request(what: string): void {
    if (what === QUIT) this.leaving = true;
    else this.made.machine.input({ kind: 'request', what });
    this.lastActivity = this.now();
  }

  private feedScript(stop: Stop): void {
    if (!this.script.pending()) return;
    if (stop.kind !== 'idle' && this.now() < this.quietAt()) return;
    const taken = this.made.machine.consoleInput(this.script.line());
    this.script.taken(taken);
    this.lastActivity = this.now();
  }

  private quietAt(): number {
    return this.lastActivity + (this.seen.marker ? QUIET_NANOS.up : QUIET_NANOS.before);
  }

  private scriptDone(): boolean {
    const { input } = this.spec;
    return input.kind === 'script' && !this.script.pending() && this.requests.length === 0;
  }

  private mayGetInput(): boolean {
    return this.spec.input.kind === 'live' || this.script.pending() || this.requests.length > 0;
  }

  private transmit(byte: number): void {
    this.hearing?.(byte);
    this.lastActivity = this.now();
    this.lastAlive = this.lastActivity;
    if (this.log.put(byte)) this.comeBack();
    if (byte !== NEWLINE || !this.seen.marker) return;
    if (this.spec.expectText === null) this.seen.goal = true; // With its line, which says more.
    this.comeBack(); // A line of the user's programs is passed on when it is complete.
  }

  private printed(text: string): void {
    if (text === MARKER) this.seen.marker = true;
    if (text === this.spec.failText) this.seen.failed = true;
    if (text === this.spec.expectText) this.seen.goal = true;
    if (text === PANIC_TEXT && this.spec.input.kind !== 'live') {
      this.seen.panic = true;
      if (this.panicAt < 0) this.panicAt = this.now();
    }
    this.comeBack();
  }

  private comeBack(): void {
    this.attention = true;
    this.made.cpu.requestExit();
  }

  private now(): number {
    return this.made.devices.clock.now();
  }

  private timeoutAt(): number {
    const { timeoutSeconds } = this.spec;
    return timeoutSeconds === null ? Number.MAX_SAFE_INTEGER : Math.ceil(timeoutSeconds * SECOND);
  }

  private progress(): Progress {
    return {
      guestSeconds: this.now() / SECOND,
      instructions: this.made.cpu.retired(),
      lastLine: this.log.lastLines(1)[0] ?? '',
      exits: { ...this.made.exits },
    };
  }
}
