// What firmware tables say about a machine: the places and numbers that ACPI and MP tables share.

export interface FirmwareFacts {
  /** Names the machine model in tables: up to 8 characters. */
  readonly model: string;
  /** Local APIC IDs, the boot processor first. */
  readonly processors: readonly number[];
  readonly lapicBase: number;
  readonly ioapicBase: number;
  readonly ioapicId: number;
  /** First of the 16 power management ports, and the SCI's interrupt: level-triggered, active high. */
  readonly pmBase: number;
  readonly sciIrq: number;
  readonly resetPort: number;
  readonly serials: readonly { readonly port: number; readonly irq: number }[];
  /** An 8042 with a keyboard. */
  readonly keyboard?: { readonly irq: number };
  readonly hpetBase?: number;
  readonly pci?: PciFacts;
  readonly rtc: { readonly port: number; readonly irq: number };
  readonly pit: { readonly port: number; readonly irq: number };
  readonly pic: { readonly master: number; readonly slave: number; readonly elcr: number };
  /** CPUID leaf 1 EAX and EDX, for the MP table. */
  readonly cpuSignature: number;
  readonly cpuFeatures: number;
}

/** PCI as firmware describes it. */
export interface PciFacts {
  /** Slots that have something in them. */
  readonly slots: readonly number[];
  /** The IRQ of each PIRQ wire at the 8259s, and the I/O APIC pin of the first wire; the others follow. */
  readonly irqs: readonly number[];
  readonly firstPin: number;
  /** The wire of a slot's pin, both counted as in `pirqOf`. */
  readonly pirqOf: (slot: number, pin: number) => number;
  /** Memory for BARs, last address included. */
  readonly window: { readonly first: number; readonly last: number };
}

/** A table at its place in guest memory. */
export interface PlacedTable {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
}
