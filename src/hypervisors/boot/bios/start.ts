// Start of day on the BIOS: the ROM in memory, the vCPU at its first instruction, the kernel behind INT 19h.

import type { Platform } from '../../define.ts';
import { enterReal } from '../registers.ts';
import { BIOS_SEGMENT, biosRom, type HandOver } from './rom.ts';

export function startBios({ cpu, ram, memoryMap }: Platform, handOver: HandOver): void {
  const rom = biosRom(memoryMap, handOver);
  ram.write(rom.gpa, rom.bytes);
  enterReal(cpu, BIOS_SEGMENT, rom.entry);
}
