// The firmware tables of a microvm.

import type { FirmwareFacts } from '../acpi/facts.ts';
import type { GuestRam } from '../memory.ts';
import { chipsetFacts, type ProcessorFacts, writeTables } from './firmware.ts';
import { MICROVM } from './microvm.ts';

export type { ProcessorFacts } from './firmware.ts';

export function microvmFacts(processor: ProcessorFacts): FirmwareFacts {
  return chipsetFacts('MICROVM', MICROVM, MICROVM.reset.pio![0]![0], processor);
}

/** Writes ACPI and MP tables below 1 MiB and answers the RSDP's address, for the start of day. */
export function writeMicrovmFirmware(ram: GuestRam, processor: ProcessorFacts): number {
  return writeTables(ram, microvmFacts(processor));
}
