// What firmware tables say of a machine model, and their way into guest memory.

import { bug } from '../../base/errors.ts';
import type { FirmwareFacts, PlacedTable } from '../acpi/facts.ts';
import { mpTables } from '../acpi/mp-table.ts';
import { acpiTables, RSDP_ADDRESS } from '../acpi/tables.ts';
import type { Claims } from '../device.ts';
import type { GuestRam } from '../memory.ts';
import type { ChipsetDevice, MachineModel } from './chipset.ts';

/** BIOS data area, word 0x413: KiB of memory below the extended BIOS data area. */
const BDA_MEMORY_KIB = 0x413;

export interface ProcessorFacts {
  /** CPUID leaf 1 EAX and EDX. */
  readonly signature: number;
  readonly features: number;
}

/** The facts that follow from the places of the chipset's devices. */
export function chipsetFacts(
  name: string,
  model: MachineModel<ChipsetDevice>,
  resetPort: number,
  processor: ProcessorFacts,
): FirmwareFacts {
  const port = (claims: Claims, range = 0) => claims.pio![range]![0];
  return {
    model: name,
    processors: [0],
    lapicBase: model.lapic.mmio![0]![0],
    ioapicBase: model.ioapic.mmio![0]![0],
    ioapicId: 1,
    pmBase: port(model.pm),
    sciIrq: model.pm.irq!,
    resetPort,
    serials: [{ port: port(model.com1), irq: model.com1.irq! }],
    rtc: { port: port(model.rtc), irq: model.rtc.irq! },
    pit: { port: port(model.pit), irq: model.pit.irq! },
    pic: { master: port(model.pic), slave: port(model.pic, 1), elcr: port(model.pic, 2) },
    cpuSignature: processor.signature,
    cpuFeatures: processor.features,
  };
}

/** Writes ACPI and MP tables below 1 MiB and answers the RSDP's address, for the start of day. */
export function writeTables(ram: GuestRam, facts: FirmwareFacts): number {
  const tables: readonly PlacedTable[] = [...acpiTables(facts), ...mpTables(facts)];
  for (const { name, address, bytes } of tables) {
    if (!ram.write(address, bytes)) bug(`no RAM for firmware table ${name} at ${address}`);
  }
  ram.setU16(BDA_MEMORY_KIB, 639);
  return RSDP_ADDRESS;
}
