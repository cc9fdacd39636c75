// What a machine model is: what can be plugged into it, how it is built, and how it shows itself to its guest.

import type { Border } from '../../cpu/border.ts';
import type { Cpu } from '../../cpu/core.ts';
import type { Seat } from '../board.ts';
import type { UnclaimedAccess } from '../bus.ts';
import type { MachineCpu } from '../cpu-link.ts';
import type { LapicFace } from '../devices/lapic.ts';
import type { Disk } from '../disk.ts';
import type { MachineParts } from '../machine.ts';
import type { GuestRam } from '../memory.ts';
import type { CoreConfig, MachineCore } from './core.ts';
import type { ProcessorFacts } from './firmware.ts';

export interface MachineConfig extends CoreConfig {
  /** Date and time of the RTC at instruction 0, in seconds since 1970. Part of the run. */
  readonly epochSeconds: number;
  /** What the guest's TSC is ahead of the clock, after a write to it. */
  readonly tscOffset?: () => number;
  /** What CPUID offers of the local APIC. Both are on unless switched off. */
  readonly x2apic?: boolean;
  readonly tscDeadline?: boolean;
}

/** The parts of `Border` that devices answer; an interface puts CPUID, other MSRs and hypercalls around them. */
export type DeviceBorder = Pick<
  Border,
  'ioRead' | 'ioWrite' | 'mmioRead' | 'mmioWrite' | 'rdmsr' | 'wrmsr' | 'acknowledgeInterrupt'
> & {
  /** Whether an MSR belongs to the machine: 0x1b, 0x6e0, 0x800..0x8ff. */
  ownsMsr(index: number): boolean;
  readCr8(): number;
  writeCr8(value: number): void;
};

/** A machine as the rest of the world sees it. */
export interface BuiltMachine extends MachineParts, MachineCore {
  readonly border: DeviceBorder;
  /** Null where the model has no local APIC. */
  readonly lapic: LapicFace | null;
  /** An edge on an ISA interrupt, from the clock of an interface; none where there are no such wires. */
  pulseIsa?(irq: number): void;
  connect(cpu: MachineCpu): void;
  /** Accesses that no device claimed, once each. */
  unclaimed(): readonly UnclaimedAccess[];
  /** Every device on the board, with the ranges that it answers at. */
  seats(): readonly Seat[];
}

export type DiskBus = 'ide' | 'virtio';
/** A network card's other end: nowhere, or a second card of the same guest. */
export const NET_WIRES = ['null', 'link'] as const;
export type NetWire = (typeof NET_WIRES)[number];
export const EXTRA_DEVICES = ['virtio-rng', 'virtio-console'] as const;
export type ExtraDevice = (typeof EXTRA_DEVICES)[number];

/** What is plugged into a machine. */
export interface Fittings {
  readonly disks: readonly FittedDisk[];
  readonly nets: readonly NetWire[];
  readonly extras: readonly ExtraDevice[];
  /** A BIOS that starts the machine, instead of a kernel that is put into memory. */
  readonly rom: RomImage | null;
}

export interface RomImage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface FittedDisk {
  readonly disk: Disk;
  readonly bus: DiskBus;
}

export const NO_FITTINGS: Fittings = { disks: [], nets: [], extras: [], rom: null };

/** What a model has room for. */
export interface ModelOffers {
  /** How many disks on each bus. */
  readonly disks: Readonly<Record<DiskBus, number>>;
  /** Network cards; a link takes two. */
  readonly nics: number;
  readonly extras: readonly ExtraDevice[];
  readonly rom: boolean;
}

export interface ReadyMachine {
  readonly machine: BuiltMachine;
  /**
   * CPU and RAM are there and nothing runs yet: firmware tables go into memory, or the ROM. Answers the guest-physical
   * address of the ACPI root pointer, 0 if there is none.
   */
  powerOn(parts: { cpu: Cpu; ram: GuestRam; processor: ProcessorFacts }): number;
}

export interface ModelDefinition {
  readonly id: string;
  /** One line, for lists. */
  readonly title: string;
  readonly offers: ModelOffers;
  build(config: MachineConfig & { readonly seed: number }, fittings: Fittings): ReadyMachine;
}
