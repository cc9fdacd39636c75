// What a run is: kernel, initrd, command line, interface, machine shape, inputs; and the limits of each.

import { InputError } from '../base/errors.ts';
import type { EngineName } from '../cpu/core.ts';
import type {
  BootWay,
  GuestModule,
  InterfaceChoice,
  Omission,
  OwnDevices,
} from '../hypervisors/index.ts';
import type { KernelImage } from '../image/index.ts';
import {
  chooseModel,
  type Fittings,
  type MachineModelId,
  type ModelDefinition,
  NIC_COUNT,
  NO_FITTINGS,
  RAM_BYTES_MAX,
} from '../machine/index.ts';

/** What the guest reads from its console. */
export type ConsoleInput =
  | { readonly kind: 'none' }
  /**
   * Bytes known beforehand, given a line at a time, each when the console has been quiet for some guest time (see
   * `QUIET_NANOS`): so the run does not depend on the host's speed.
   */
  | { readonly kind: 'script'; readonly bytes: Uint8Array }
  /** Whatever is typed, when it is typed. */
  | { readonly kind: 'live' };

export interface TimedRequest {
  /** Of the guest's clock. */
  readonly atNanos: number;
  /** See machine/inputs.ts. */
  readonly what: string;
}

export interface RunSpec {
  /** Null: the BIOS among the fittings starts the machine. */
  readonly kernel: KernelImage | null;
  /** SHA-256 of the file or package that the kernel came in, or of the BIOS. */
  readonly kernelDigest: string;
  readonly on: InterfaceChoice;
  /** Parts that `on` is without (`withoutParts`), to be told in the verdict. */
  readonly omissions?: readonly Omission[];
  /** The machine model; if not given, the interface's first that has room for the fittings. */
  readonly machine?: MachineModelId;
  /** What is plugged into the machine; nothing if not given. */
  readonly fittings?: Fittings;
  /** How the kernel is started; `direct` if not given. */
  readonly boot?: BootWay;
  /** For a multiboot kernel, behind the initrd. */
  readonly modules?: readonly GuestModule[];
  readonly initrd: Uint8Array | null;
  /** Added to `DEFAULT_COMMAND_LINE`. */
  readonly append: string;
  readonly memoryBytes: number;
  readonly time: 'virtual' | 'wall';
  readonly engine: EngineName;
  /** The engine counts what costs time to count: `RunResult.engineStats`. */
  readonly counting?: boolean;
  /** Not 0: the run is disturbed at random places that this seed gives (`CpuOptions.disturb`), for tests of engines. */
  readonly disturb?: number;
  /** Guest seconds after which the run is over; null: never. */
  readonly timeoutSeconds: number | null;
  /** CPU seconds of the host after which the run is over, whatever the guest's clock says; null: never. */
  readonly hostCpuSeconds: number | null;
  /** The run is `up` as soon as the console prints this; null: the init marker, or the guest's own end. */
  readonly expectText: string | null;
  /** The run has failed as soon as the console prints this. */
  readonly failText: string | null;
  readonly input: ConsoleInput;
  /** What the guest is asked from outside, and when; only interfaces that can ask pass it on. */
  readonly requests?: readonly TimedRequest[];
  readonly seed: number;
  /** Date and time at instruction 0, in seconds since 1970. */
  readonly epochSeconds: number;
}

/** The serial console, unless the interface has its own; and a panic ends in a reset, which ends the run. */
export const DEFAULT_COMMAND_LINE = 'console=ttyS0 panic=-1';
export const DEFAULT_MEMORY_BYTES = 512 << 20;
export const DEFAULT_TIMEOUT_SECONDS = 120;
/** 2024-01-01T00:00:00Z: a run's date is part of the run, so it is not today's unless asked for. */
export const DEFAULT_EPOCH_SECONDS = 1704067200;
/**
 * Guest time without output after which a guest is taken to wait for input: once our init has reported, and before
 * (or without it), when a kernel may be busy for long before anybody has opened its console.
 */
export const QUIET_NANOS = { up: 100e6, before: 2e9 } as const;

const MEMORY_MIN = 16 << 20;
const MEBIBYTE = 1 << 20;

/** The part of a spec that is only numbers. */
export type RunNumbers = Pick<
  RunSpec,
  'memoryBytes' | 'timeoutSeconds' | 'hostCpuSeconds' | 'seed' | 'epochSeconds'
>;

export function checkNumbers(numbers: RunNumbers): void {
  const { memoryBytes } = numbers;
  if (!(memoryBytes >= MEMORY_MIN && memoryBytes <= RAM_BYTES_MAX)) {
    throw new InputError(
      'run/memory',
      `the machine cannot have ${Math.round(memoryBytes / MEBIBYTE)} MiB of memory`,
      'give between 16M and 3G.',
    );
  }
  if (memoryBytes % MEBIBYTE !== 0) {
    throw new InputError(
      'run/memory',
      `the machine cannot have ${memoryBytes} bytes of memory`,
      'give whole mebibytes: 512M.',
    );
  }
  checkPositive('timeout', numbers.timeoutSeconds);
  checkPositive('host time limit', numbers.hostCpuSeconds);
  checkWhole('seed', numbers.seed);
  checkWhole('date', numbers.epochSeconds);
}

function checkPositive(what: string, seconds: number | null): void {
  if (seconds === null || (seconds > 0 && seconds <= 1e6)) return;
  throw new InputError(
    'run/number',
    `the ${what} cannot be ${seconds} seconds`,
    'give more than 0s and at most 1000000s.',
  );
}

function checkWhole(what: string, value: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return;
  throw new InputError(
    'run/number',
    `the ${what} cannot be ${value}`,
    'give a whole number from 0 to 4294967295.',
  );
}

/** The console is the interface's own, where it has one. */
export function commandLine({ append, on }: Pick<RunSpec, 'append' | 'on'>): string {
  const { console } = on.interface;
  const base = console ? DEFAULT_COMMAND_LINE.replace('ttyS0', console) : DEFAULT_COMMAND_LINE;
  return append === '' ? base : `${base} ${append}`;
}

/** A machine starts by a kernel that is put into its memory, or by its BIOS, which finds one on a disk. */
export function checkStart({ kernel, fittings }: Pick<RunSpec, 'kernel' | 'fittings'>): void {
  const rom = fittings?.rom ?? null;
  if (kernel && rom) {
    throw new InputError(
      'run/two-starts',
      `the machine cannot start both by the kernel ${kernel.name} and by the BIOS ${rom.name}`,
      'leave the kernel away: a BIOS boots what it finds on --disk.',
    );
  }
  if (kernel || rom) return;
  throw new InputError(
    'run/no-start',
    'there is nothing to start',
    'give a kernel, or --bios FILE.',
  );
}

/** The machine's shape: its model, and what is plugged into it. */
export function machineOf({
  on,
  machine,
  fittings = NO_FITTINGS,
}: Pick<RunSpec, 'on' | 'machine' | 'fittings'>): {
  readonly model: ModelDefinition;
  readonly fittings: Fittings;
  readonly own: Pick<Fittings, 'disks' | 'nets'>;
} {
  const { machines, id, takes } = on.interface;
  const none = { disks: [], nets: [] };
  const own = takes ? { disks: fittings.disks, nets: fittings.nets } : none;
  if (takes) checkOwn(id, own, takes);
  const rest = takes ? { ...fittings, ...none } : fittings;
  return { model: chooseModel(machine ?? null, machines, rest, id), fittings: rest, own };
}

function checkOwn(id: string, own: Pick<Fittings, 'disks' | 'nets'>, takes: OwnDevices): void {
  const nics = own.nets.reduce((sum, wire) => sum + NIC_COUNT[wire], 0);
  if (own.disks.length <= takes.disks && nics <= takes.nics) return;
  throw new InputError(
    'machine/no-room',
    `a guest of ${id} takes ${takes.disks} disks and ${takes.nics} network cards at most`,
    'give fewer.',
  );
}
