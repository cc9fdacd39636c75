// The host's pages at the top of every address space: descriptor tables that the processor reads, and the guest cannot write.

import type { GuestRam } from '../../machine/memory.ts';
import { GDT_OFFSET, TSS_OFFSET } from './descriptors.ts';
import { PAGE, PTE_A, PTE_D, PTE_P, pteBytes } from './walk.ts';

/** From the first of them on: GDT, TSS, and the table that maps both. */
export const SWITCHER_FRAMES = 3;
const GDT = 0;
const TSS = 1;
const TABLE = 2;
/** Supervisor, read-only. The dirty bit is set, so that no walk ever writes to the table. */
const FLAGS = PTE_P | PTE_A | PTE_D;
/** Where a TSS says its bitmap of ports begins: beyond its limit there is none. SDM 1 19.5.2. */
const TSS_IO_MAP = 0x66;
const NO_IO_MAP = 0x8000;

export const gdtFrame = (first: number): number => first + GDT;
export const switcherTable = (first: number): number => first + TABLE;

export function writeSwitcher(ram: GuestRam, first: number, pae: boolean): void {
  ram.fill(first * PAGE, SWITCHER_FRAMES * PAGE, 0);
  ram.setU16((first + TSS) * PAGE + TSS_IO_MAP, NO_IO_MAP);
  const map = (offset: number, frame: number) =>
    ram.setU32((first + TABLE) * PAGE + (offset / PAGE) * pteBytes(pae), frame * PAGE + FLAGS);
  map(GDT_OFFSET, first + GDT);
  map(TSS_OFFSET, first + TSS);
}
