// The page tables that an lguest guest starts on: all of its RAM at 0 and again at PAGE_OFFSET, built in its own memory.

import type { GuestRam } from '../../machine/memory.ts';

const PAGE = 4096;
/** The kernel's default PAGE_OFFSET (arch/x86/Kconfig). */
export const PAGE_OFFSET = 0xc0000000;
/** Present, writable, user: no kernel of lguest's time asks for less (SDM 3A 4.3). */
const ENTRY = 0x7;
/** The entries of a page-directory-pointer table have no such bits (SDM 3A 4.4.1). */
const PDPTE = 0x1;

export interface FirstTables {
  /** Guest-physical address of the top-level table: what `lguest_data.pgdir` first says. */
  readonly top: number;
  /** Lowest address that the tables take. */
  readonly bottom: number;
}

/** `end`: where the tables end, a multiple of a page; `ramBytes` are mapped, 1 GiB at most. Guest frames are numbers of RAM. */
export function writeFirstTables(
  ram: GuestRam,
  { ramBytes, end, pae }: { ramBytes: number; end: number; pae: boolean },
): FirstTables {
  const entryBytes = pae ? 8 : 4;
  const perTable = PAGE / entryBytes;
  const tables = Math.ceil(ramBytes / (perTable * PAGE));
  const top = end - PAGE;
  const leaf = top - tables * PAGE;
  const put = (table: number, index: number, value: number) => {
    if (pae) ram.setU64(table + index * 8, value, 0);
    else ram.setU32(table + index * 4, value);
  };
  const bottom = pae ? leaf - PAGE : leaf;
  ram.fill(bottom, end - bottom, 0);
  for (let frame = 0; frame < ramBytes / PAGE; frame++) put(leaf, frame, frame * PAGE + ENTRY);
  const directory = pae ? bottom : top;
  for (let n = 0; n < tables; n++) put(directory, n, leaf + n * PAGE + ENTRY);
  if (!pae) {
    const high = PAGE_OFFSET / (perTable * PAGE);
    for (let n = 0; n < tables; n++) put(directory, high + n, leaf + n * PAGE + ENTRY);
  } else for (const gib of [0, PAGE_OFFSET / 2 ** 30]) put(top, gib, directory + PDPTE);
  return { top, bottom };
}
