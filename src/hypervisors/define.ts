// What a hypervisor interface is: its versions, what a guest needs to notice it, and what it puts around a vCPU.

import type { Border, PolicyExit } from '../cpu/border.ts';
import type { Cpu } from '../cpu/core.ts';
import type { ExitPolicy } from '../cpu/policy.ts';
import type { KernelImage } from '../image/index.ts';
import type { Clock } from '../machine/clock.ts';
import type { ConsoleEnd } from '../machine/console-ends.ts';
import type { Line } from '../machine/device.ts';
import type { LapicFace } from '../machine/devices/lapic.ts';
import type { Disk } from '../machine/disk.ts';
import type { GuestRam, MemoryMapEntry } from '../machine/memory.ts';
import type { DeviceBorder, NetWire } from '../machine/models/define.ts';
import type { MachineModelId } from '../machine/models/registry.ts';
import type { InterfacePower } from '../machine/power.ts';
import type { RequestEnd } from '../machine/request-end.ts';
import type { SnapshotSlots } from '../machine/snapshot.ts';
import type { GuestBinding, Mechanism } from '../ops/index.ts';
import type { Manifest } from './manifest.ts';
import type { EntryNames, Seen } from './seen.ts';

/** The machine under an interface: built, and not yet started. */
export interface Platform {
  readonly cpu: Cpu;
  readonly ram: GuestRam;
  readonly clock: Clock;
  /** What the machine's devices answer; a machine without devices floats. */
  readonly devices: DeviceBorder;
  /** Null where the machine has none. */
  readonly lapic: LapicFace | null;
  /** An edge on an ISA interrupt, for a clock of the interface's own; none where the machine has no such wires. */
  pulseIsa?(irq: number): void;
  /** The interface's own interrupt request to the vCPU, beside that of the machine's controllers. */
  readonly interrupt: Line;
  /** How the guest's run ends: as it asked, or because the interface refuses to go on. */
  readonly power: InterfacePower;
  readonly console: InterfaceConsole;
  /** For an interface that can ask something of its guest: what the user wants (machine/inputs.ts). */
  readonly requests: Pick<RequestEnd, 'connect'>;
  readonly snapshots: SnapshotSlots;
  /** Disks and wires for devices of the interface's own; none unless it takes them. */
  readonly disks: readonly Disk[];
  readonly nets: readonly NetWire[];
  /** Wall time at instruction 0, in seconds since 1970. */
  readonly epochSeconds: number;
  /** What nobody promises may depend on it. */
  readonly seed: number;
  /** Bytes of RAM that the guest is to have; `ram` has the interface's own beside them. */
  readonly memoryBytes: number;
  readonly memoryMap: readonly MemoryMapEntry[];
  /** To be called where the interface has decoded what its guest asks. Not given: nobody listens. */
  readonly seen?: Seen;
  /** `seen` only counts by name: arguments that take work to tell may be left away. */
  readonly onlyCounted?: boolean;
  /**
   * Whether this run is to be without an entry point or a feature bit: then it is answered as by an implementation that never
   * had it. To be asked where calls are told apart. Not given: nothing is left out.
   */
  lacks?(name: string): boolean;
  /** Guest-physical address of the ACPI root pointer; 0 if there is none. */
  readonly rsdp: number;
}

/** For an interface with a console of its own: it then is the run's console. */
export interface InterfaceConsole {
  transmit(byte: number): void;
  /** From now on what is typed goes here. */
  connect(end: ConsoleEnd): void;
}

/**
 * How a kernel is started. `direct`: the shortest way that it offers. `setup`: its own 16-bit code, on a small BIOS.
 * The others name one protocol: the PVH entry, multiboot 1, the 32- or 64-bit entry of Linux.
 */
export const BOOT_WAYS = ['direct', 'setup', 'pvh', 'linux32', 'linux64', 'multiboot'] as const;
export type BootWay = (typeof BOOT_WAYS)[number];

/** A file beside the kernel, with words of its own (multiboot 1). */
export interface GuestModule {
  readonly bytes: Uint8Array;
  readonly commandLine: string;
}

/** What is to be booted. */
export interface Guest {
  readonly kernel: KernelImage;
  readonly initrd: Uint8Array | null;
  readonly commandLine: string;
  /** `direct` if not given. */
  readonly boot?: BootWay;
  /** Only multiboot has them; the initrd, if there is one, comes before them. */
  readonly modules?: readonly GuestModule[];
}

/** An interface at work on one platform. All its state lies in the snapshot slots. */
export interface Attached {
  /** These answer instead of the devices. */
  readonly border: Pick<Border, 'cpuid' | 'rdmsr' | 'wrmsr' | 'hypercall'> & Partial<Border>;
  /**
   * Answers an exit that the policy asks for, and puts the vCPU where the guest goes on. Once the guest has been ended by
   * the machine's power, nothing runs on.
   */
  exit?(exit: PolicyExit): void;
  /** Called before the guest runs on, whatever it has left for: the place to inject events. */
  enter?(): void;
  /**
   * The vCPU waits in a call of the interface's, halted, until the interface clears `halted`: with interrupts off, too.
   */
  waiting?(): boolean;
  /**
   * The vCPU has halted with interrupts off, or has met a triple fault. An interface that knows what this means says so by
   * the machine's power; otherwise the run ends as it would on bare hardware.
   */
  dead?(): void;
  tripleFault?(why: string): void;
  /** Loads the guest and puts the vCPU at its entry; an `InputError` if the guest cannot start here. */
  start(guest: Guest): void;
  /** Whether the guest has used anything that only this interface has. */
  noticed(): boolean;
}

export interface OwnDevices {
  readonly disks: number;
  readonly nics: number;
  readonly diskDrivers: readonly string[];
  readonly nicDrivers: readonly string[];
}

/** A row of the table of calls on an interface's page. */
export interface CallFact {
  readonly number: number;
  readonly call: string;
  readonly sub?: string;
  /** What it takes and gives, and where: for calls that differ in it. */
  readonly words?: string;
  /** `done`, `refused, -EPERM` or `not modelled`. */
  readonly state: string;
  readonly why: string;
}

export interface FormerName {
  readonly name: string;
  /** The first release with today's name. */
  readonly before: readonly [major: number, minor: number];
}

export interface HypervisorInterface {
  readonly id: string;
  /** One line, for lists. */
  readonly title: string;
  /** Newest first: the first is what the bare id means. An interface without versions has none. */
  readonly versions: readonly string[];
  /** What a kernel must be built with, printed when one boots without noticing us. */
  readonly guestNeeds: readonly string[];
  /** What kernels before some release called one of those. */
  readonly formerNeeds?: Readonly<Record<string, FormerName>>;
  /** The machine models that its guests may find beneath them; the first that has room for everything is taken. */
  readonly machines: readonly MachineModelId[];
  /** The device name of the console that it offers, as Linux says it; the serial port if it offers none. */
  readonly console?: string;
  /** It has disks and network cards of its own, instead of the machine's: how many, and the modules that drive them. */
  readonly takes?: OwnDevices;
  /** RAM that the interface keeps for itself, in bytes, beside the guest's; none if not given. */
  ownBytes?(memoryBytes: number): number;
  /** Which instructions and exceptions leave the CPU. */
  readonly policy: ExitPolicy;
  /** For versions that want to see something else. */
  readonly policies?: Readonly<Record<string, ExitPolicy>>;
  /** Names of its own for what passes the border of the CPU. */
  readonly entryNames?: EntryNames;
  /** By which entry points each operation is done. */
  readonly ops: Manifest;
  /** What can be left out of it: entry points of these kinds, and feature bits by the names of its headers. */
  readonly omits?: { readonly kinds: readonly Mechanism[]; readonly features: readonly string[] };
  /** Every call that a guest of it may try, for its page. */
  readonly calls?: readonly CallFact[];
  /** The guest's side of it, for the probe kernel (src/probe); without one it cannot be probed. */
  readonly guest?: GuestBinding;
  /** `version` is one of `versions`, or empty if there are none. */
  attach(platform: Platform, version: string): Attached;
}

export interface InterfaceChoice {
  readonly interface: HypervisorInterface;
  readonly version: string;
  /** As results name it: `native`, `kvm@6.1`. */
  readonly name: string;
}

export const policyFor = (
  { policy, policies }: Pick<HypervisorInterface, 'policy' | 'policies'>,
  version: string,
): ExitPolicy => policies?.[version] ?? policy;

export function defineInterface(definition: HypervisorInterface): HypervisorInterface {
  return definition;
}
