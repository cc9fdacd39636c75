// Builds what a run consists of: machine, vCPU, RAM, firmware and interface, wired together.

import type { Border, MachineExit, PolicyExit } from '../cpu/border.ts';
import { EFLAGS_IF } from '../cpu/control-bits.ts';
import { type Cpu, createCpu, type EngineName } from '../cpu/core.ts';
import { setPolicy } from '../cpu/policy.ts';
import { ramListener } from '../cpu/ram-written.ts';
import { processorFacts } from '../hypervisors/hw/border.ts';
import { seenBorder } from '../hypervisors/hw/seen-border.ts';
import { seenInstructions } from '../hypervisors/hw/seen-instructions.ts';
import { TableWatcher } from '../hypervisors/hw/table-watcher.ts';
import { type Attached, type InterfaceChoice, policyFor } from '../hypervisors/index.ts';
import { runGuest } from '../hypervisors/run-guest.ts';
import { orcTable } from '../image/index.ts';
import type { ConsoleEnd } from '../machine/console-ends.ts';
import type { MachineCpu } from '../machine/cpu-link.ts';
import { Machine } from '../machine/machine.ts';
import { GuestRam, memoryMap } from '../machine/memory.ts';
import type { BuiltMachine, Fittings, ModelDefinition } from '../machine/models/define.ts';
import { CallSites } from './trace/call-sites.ts';
import { LinkAddress } from './trace/link-address.ts';
import type { Tracer } from './trace/tracer.ts';

export interface Assembly {
  readonly choice: InterfaceChoice;
  readonly model: ModelDefinition;
  readonly fittings: Fittings;
  /** For the interface's own devices; none if not given. */
  readonly own?: Pick<Fittings, 'disks' | 'nets'>;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  readonly counting?: boolean;
  readonly disturb?: number;
  readonly time: 'virtual' | 'wall';
  readonly epochSeconds: number;
  readonly seed: number;
  /** Hears what the guest asks for. Nobody does if not given, and it costs nothing. */
  readonly tracer?: Tracer | null;
  /** A byte of console output. */
  transmit(byte: number): void;
  /** Asked after `requestExit`: whether the run is to come back to its caller. */
  attend(): boolean;
}

export interface Assembled {
  readonly cpu: Cpu;
  /** The main loop over `devices`. */
  readonly machine: Machine;
  readonly devices: BuiltMachine;
  readonly attached: Attached;
  readonly exits: ExitCounts;
}

/** How often the CPU asked the world around it, and why. */
export interface ExitCounts {
  io: number;
  mmio: number;
  cpuid: number;
  msr: number;
  hypercall: number;
  interrupt: number;
  halt: number;
  /** By exit policy. */
  exception: number;
  instruction: number;
}

export function assemble(parts: Assembly): Assembled {
  const { choice, memoryBytes } = parts;
  const exits: ExitCounts = {
    io: 0,
    mmio: 0,
    cpuid: 0,
    msr: 0,
    hypercall: 0,
    interrupt: 0,
    halt: 0,
    exception: 0,
    instruction: 0,
  };
  const tsc = new TimeStamp(parts.seed);
  const ramBytes = memoryBytes + (choice.interface.ownBytes?.(memoryBytes) ?? 0);
  const { machine: devices, powerOn } = parts.model.build(
    {
      ramBytes,
      epochSeconds: parts.epochSeconds,
      seed: parts.seed,
      transmit: parts.transmit,
      onSkip: (skipped) => tsc.skip(skipped),
      tscOffset: () => tsc.ahead(),
    },
    parts.fittings,
  );
  const front = new CountingBorder(devices.border, exits);
  const cpu = createCpu({
    ramBytes,
    border: front,
    engine: parts.engine,
    counting: parts.counting ?? false,
    disturb: parts.disturb ?? 0,
  });
  const ram = new GuestRam(cpu.memory, cpu.layout.ramBase, ramBytes, ramListener(cpu));
  const rsdp = powerOn({ cpu, ram, processor: processorFacts() });
  tsc.connect(cpu);
  cpu.state.set64('random', BigInt.asUintN(64, BigInt(parts.seed) * RANDOM_SPREAD));
  setPolicy(cpu.state, policyFor(choice.interface, choice.version));
  const attached = choice.interface.attach(
    {
      ...platformOf(devices),
      cpu,
      ram,
      epochSeconds: parts.epochSeconds,
      seed: parts.seed,
      disks: parts.own?.disks.map(({ disk }) => disk) ?? [],
      nets: parts.own?.nets ?? [],
      memoryBytes,
      memoryMap: memoryMap(memoryBytes),
      rsdp,
      ...(parts.tracer && { seen: parts.tracer.seen, onlyCounted: !parts.tracer.wantsSites }),
    },
    choice.version,
  );
  const border = { ...devices.border, ...attached.border };
  front.use(border);
  const runner = parts.tracer ? traced(parts.tracer, choice, cpu, devices, front, border) : cpu;
  const machine = new Machine(devices, machineCpu(cpu, runner, attached, exits), {
    time: parts.time,
    attend: parts.attend,
  });
  return { cpu, machine, devices, attached, exits };
}

/** Puts the tracer where the guest's doings show. */
function traced(
  tracer: Tracer,
  { interface: on, version }: InterfaceChoice,
  cpu: Cpu,
  devices: BuiltMachine,
  front: CountingBorder,
  border: Border,
): Pick<Cpu, 'run' | 'retired'> {
  const { symbols, elf } = tracer.names;
  const sites = new CallSites(cpu, symbols, elf && new LinkAddress(elf), elf && orcTable(elf));
  tracer.connect({
    retired: () => cpu.retired(),
    nanos: () => devices.clock.now(),
    site: () => sites.site(),
  });
  const entered = () => {
    if (tracer.wantsSites) sites.enter(cpu.currentRip());
    tracer.entered();
  };
  front.use(seenBorder(border, cpu.state, { seen: tracer.seen, entered }, on.entryNames ?? {}));
  const { seen, counted } = tracer;
  const end = { seen, entered, counted, onlyCounts: () => !tracer.wantsSites };
  return seenInstructions(
    cpu,
    policyFor(on, version),
    end,
    tracer.watchesTables ? new TableWatcher(cpu, end) : null,
  );
}

/** The machine's part of what an interface gets. */
function platformOf(devices: BuiltMachine) {
  const { clock, border, lapic, snapshots, link, powerSwitch, consoles, requests, transmit } =
    devices;
  return {
    clock,
    devices: border,
    lapic,
    ...(devices.pulseIsa && { pulseIsa: devices.pulseIsa }),
    snapshots,
    interrupt: { set: (level: boolean) => link.setInterfaceLine(level) },
    power: powerSwitch,
    requests,
    console: {
      transmit: consoles.speaker('interface', transmit),
      connect: (end: ConsoleEnd) => consoles.connect('interface', end),
    },
  };
}

function machineCpu(
  cpu: Cpu,
  runner: Pick<Cpu, 'run' | 'retired'>,
  attached: Attached,
  exits: ExitCounts,
): MachineCpu {
  const count = ({ kind }: PolicyExit) => {
    exits[kind]++;
  };
  return {
    retired: () => cpu.retired(),
    setInterruptLine: (level) => cpu.setInterruptLine(level),
    requestExit: () => cpu.requestExit(),
    requestExitAt: (retired) => cpu.requestExitAt(retired),
    raiseNmi: () => cpu.raiseNmi(),
    nmiPending: () => cpu.nmiPending(),
    waitsInCall: () => attached.waiting?.() ?? false,
    halted: () => cpu.state.get('halted') !== 0,
    interruptsEnabled: () => (cpu.state.get('eflags') & EFLAGS_IF) !== 0,
    dead: () => attached.dead?.(),
    tripleFault: (why) => attached.tripleFault?.(why),
    run(budget, due): MachineExit {
      const exit = runGuest(runner, attached, budget, count, due);
      if (exit.kind === 'halt') exits.halt++;
      return exit;
    },
  };
}

/** Spreads seeds over the 64 bits of the random generator's state. */
const RANDOM_SPREAD = 0x9e3779b97f4a7c15n;

/**
 * The time stamp counter goes on in a halt, and begins where the seed says: any machine's counter has a first value of its
 * own. Neither shows in IA32_TSC_ADJUST, which holds what the guest itself has moved: SDM 3B 18.17.3.
 */
class TimeStamp {
  private readonly first: number;
  private cpu: Cpu | null = null;

  constructor(seed: number) {
    this.first = Math.imul(seed, 0x9e3779b1) >>> 0;
  }

  connect(cpu: Cpu): void {
    this.cpu = cpu;
    cpu.setSkipped(this.first);
  }

  skip(total: number): void {
    this.cpu?.setSkipped(this.first + total);
  }

  /** How far the counter is ahead of the machine's clock. */
  ahead(): number {
    if (!this.cpu) return 0;
    return Number(BigInt.asIntN(64, this.cpu.state.get64('tscOffset'))) + this.first;
  }
}

/** Everything that the CPU asks passes here once. */
class CountingBorder implements Border {
  private inner: Partial<Border>;
  private readonly exits: ExitCounts;

  constructor(devices: Partial<Border>, exits: ExitCounts) {
    this.inner = devices;
    this.exits = exits;
  }

  use(border: Border): void {
    this.inner = border;
  }

  ioRead(port: number, bytes: number): number {
    this.exits.io++;
    return this.inner.ioRead!(port, bytes);
  }
  ioWrite(port: number, bytes: number, value: number): void {
    this.exits.io++;
    this.inner.ioWrite!(port, bytes, value);
  }
  mmioRead(gpa: number, bytes: number, out: Uint32Array): void {
    this.exits.mmio++;
    this.inner.mmioRead!(gpa, bytes, out);
  }
  mmioWrite(gpa: number, bytes: number, lo: number, hi: number): void {
    this.exits.mmio++;
    this.inner.mmioWrite!(gpa, bytes, lo, hi);
  }
  cpuid(leaf: number, subleaf: number, out: Uint32Array): void {
    this.exits.cpuid++;
    this.inner.cpuid!(leaf, subleaf, out);
  }
  rdmsr(index: number, out: Uint32Array): boolean {
    this.exits.msr++;
    return this.inner.rdmsr!(index, out);
  }
  wrmsr(index: number, lo: number, hi: number): boolean {
    this.exits.msr++;
    return this.inner.wrmsr!(index, lo, hi);
  }
  hypercall(instruction: 'vmcall' | 'vmmcall'): boolean | 'faulted' {
    this.exits.hypercall++;
    return this.inner.hypercall!(instruction);
  }
  syscall(): boolean {
    const done = this.inner.syscall?.() ?? false;
    if (done) this.exits.instruction++; // As if it had left the CPU.
    return done;
  }
  readCr8(): number {
    return this.inner.readCr8!();
  }
  writeCr8(value: number): void {
    this.inner.writeCr8!(value);
  }
  acknowledgeInterrupt(): number {
    const vector = this.inner.acknowledgeInterrupt!();
    if (vector >= 0) this.exits.interrupt++;
    return vector;
  }
}
