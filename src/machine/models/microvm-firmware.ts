// The firmware tables of a microvm, written to guest memory from the model's own table of places.

import { bug } from '../../base/errors.ts';
import type { FirmwareFacts, PlacedTable } from '../acpi/facts.ts';
import { mpTables } from '../acpi/mp-table.ts';
import { acpiTables, RSDP_ADDRESS } from '../acpi/tables.ts';
import type { GuestRam } from '../memory.ts';
import { MICROVM } from './microvm.ts';

/** BIOS data area, word 0x413: KiB of memory below the extended BIOS data area. */
const BDA_MEMORY_KIB = 0x413;

export interface ProcessorFacts {
  /** CPUID leaf 1 EAX and EDX. */
  readonly signature: number;
  readonly features: number;
}

export function microvmFacts(processor: ProcessorFacts): FirmwareFacts {
  const port = (claims: (typeof MICROVM)[keyof typeof MICROVM], range = 0) =>
    claims.pio![range]![0];
  return {
    processors: [0],
    lapicBase: MICROVM.lapic.mmio![0]![0],
    ioapicBase: MICROVM.ioapic.mmio![0]![0],
    ioapicId: 1,
    pmBase: port(MICROVM.pm),
    sciIrq: MICROVM.pm.irq!,
    resetPort: port(MICROVM.reset),
    serial: { port: port(MICROVM.com1), irq: MICROVM.com1.irq! },
    rtc: { port: port(MICROVM.rtc), irq: MICROVM.rtc.irq! },
    pit: { port: port(MICROVM.pit), irq: MICROVM.pit.irq! },
    pic: {
      master: port(MICROVM.pic),
      slave: port(MICROVM.pic, 1),
      elcr: port(MICROVM.pic, 2),
    },
    cpuSignature: processor.signature,
    cpuFeatures: processor.features,
  };
}

/** Writes ACPI and MP tables below 1 MiB and answers the RSDP's address, for the start of day. */
export function writeMicrovmFirmware(ram: GuestRam, processor: ProcessorFacts): number {
  const facts = microvmFacts(processor);
  const tables: readonly PlacedTable[] = [...acpiTables(facts), ...mpTables(facts)];
  for (const { name, address, bytes } of tables) {
    if (!ram.write(address, bytes)) bug(`no RAM for firmware table ${name} at ${address}`);
  }
  ram.setU16(BDA_MEMORY_KIB, 639);
  return RSDP_ADDRESS;
}
