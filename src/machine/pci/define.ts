// What a PCI function is: its identity, its BARs, its capabilities, and what it may do on the bus.

import type { MmioHandler, PioHandler } from '../device.ts';
import type { GuestRam } from '../memory.ts';

/** Type 0 header fields that never change (PCI 3.0 6.2.1). `classCode` is class, subclass and interface: 0x010180. */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
}

/** A base address register. `memory64` takes `index` and the one after it. Sizes are powers of two. */
export interface PciBarShape {
  readonly index: number;
  readonly kind: 'io' | 'memory32' | 'memory64';
  readonly size: number;
  readonly prefetchable?: boolean;
}

/** MSI-X with its own memory BAR (32-bit): the slot keeps the table and the pending bits. */
export interface MsixShape {
  readonly vectors: number;
  readonly bar: number;
}

/** A capability other than MSI and MSI-X, which the slot adds by itself. */
export interface PciCapability {
  readonly id: number;
  /** The bytes behind the id and the next pointer: `body[0]` lies at offset 2. */
  readonly body: readonly number[];
  /** Bits of `body` that the guest may change, byte by byte; none where absent. */
  readonly writable?: readonly number[];
}

/** Registers of its own in configuration space: values at power-on, and the bits that may be written. */
export interface PciRegister {
  readonly at: number;
  readonly bytes: readonly number[];
  readonly writable?: readonly number[];
}

/** The function's side of its slot. */
export interface PciPort {
  /** Level of the INTx pin. Kept back while INTx is disabled or messages are enabled. */
  setInterrupt(level: boolean): void;
  /** Sends message `vector` (MSI-X entry, or MSI message number). A masked one pends; without messages it is nothing. */
  interrupt(vector: number): void;
  /** Messages (MSI-X or MSI) are enabled: the pin is not used. */
  messagesEnabled(): boolean;
  /** Command register bit 2: the function may reach memory. */
  busMaster(): boolean;
  /** Guest RAM, for DMA. Not to be asked for before the machine is built. */
  ram(): GuestRam;
  /** The live bytes of capability `n` of the definition, its id at 0. Read only. */
  capability(n: number): Uint8Array;
}

/** An access to a capability that has effects. Offsets count from the capability's id byte. */
export interface CapabilityHooks {
  /** Brings the stored bytes up to date before a read of them: writes go to `live`. */
  beforeRead?(live: Uint8Array, offset: number, bytes: number): void;
  /** The writable bits have been stored. */
  written?(live: Uint8Array, offset: number, bytes: number): void;
}

export type BarHandler =
  | { readonly io: PioHandler; readonly memory?: never }
  | { readonly memory: MmioHandler; readonly io?: never };

export interface PciPlugged<Face> {
  /** One for each entry of `bars`, in order. */
  readonly bars?: readonly BarHandler[];
  /** One for each entry of `capabilities`, in order; null where an access has no effect. */
  readonly capabilities?: readonly (CapabilityHooks | null)[];
  readonly face: Face;
  /** The command register or one of `registers` was written, or restored; `config` is the live configuration space. */
  configWritten?(config: Uint8Array): void;
  /** A BAR or the command register has changed where (and whether) BARs answer. */
  moved?(): void;
  restored?(): void;
}

export interface PciDefinition<
  State extends object,
  Given extends { readonly state: State; readonly pci: PciPort },
  Face,
> {
  readonly name: string;
  /** Document and section. */
  readonly ref: string;
  readonly identity: PciIdentity;
  readonly bars?: readonly PciBarShape[];
  readonly capabilities?: readonly PciCapability[];
  readonly registers?: readonly PciRegister[];
  /** 1 is INTA#; 0 or absent: the function has no pin. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  readonly msix?: MsixShape;
  /** Messages of an MSI capability: a power of two up to 32; absent: none. */
  readonly msi?: number;
  /** State after power-on, plain data as for any device. */
  state(): State;
  plug(given: Given): PciPlugged<Face>;
}

export function definePciDevice<
  State extends object,
  Given extends { readonly state: State; readonly pci: PciPort },
  Face,
>(definition: PciDefinition<State, Given, Face>): PciDefinition<State, Given, Face> {
  return definition;
}

/** Where a function sits on bus 0. */
export interface PciPlace {
  readonly slot: number;
  readonly function?: number;
}
