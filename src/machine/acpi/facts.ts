// What firmware tables say about a machine: the places and numbers that ACPI and MP tables share.

export interface FirmwareFacts {
  /** Local APIC IDs, the boot processor first. */
  readonly processors: readonly number[];
  readonly lapicBase: number;
  readonly ioapicBase: number;
  readonly ioapicId: number;
  /** First of the 16 power management ports, and the SCI's interrupt: level-triggered, active high. */
  readonly pmBase: number;
  readonly sciIrq: number;
  readonly resetPort: number;
  readonly serial: { readonly port: number; readonly irq: number };
  readonly rtc: { readonly port: number; readonly irq: number };
  readonly pit: { readonly port: number; readonly irq: number };
  readonly pic: { readonly master: number; readonly slave: number; readonly elcr: number };
  /** CPUID leaf 1 EAX and EDX, for the MP table. */
  readonly cpuSignature: number;
  readonly cpuFeatures: number;
}

/** A table at its place in guest memory. */
export interface PlacedTable {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
}
