// The guest's own page tables as the host reads them: frames are the guest's, and nothing in them is trusted.

import { hex, killGuest, type LguestHost, readGuest } from './host.ts';

export const PAGE = 4096;
/** SDM 3A tables 4-5, 4-6, 4-11. */
export const PTE_P = 0x1;
export const PTE_RW = 0x2;
export const PTE_US = 0x4;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
/** PSE in an upper entry, PAT in a leaf: no guest is offered either. */
export const PTE_PSE = 0x80;
export const PTE_G = 0x100;
/** _PAGE_TABLE of arch/x86/include/asm/pgtable_types.h (2.6.32): all that an upper entry may have. */
const TABLE_FLAGS = 0x67;
const FLAGS = 0xfff;
/** XD, which is not offered and not looked at. */
const XD = 0x80000000;

/** Where a leaf entry stands, and what it says. `allowed`: RW and US of all levels together. */
export interface GuestEntry {
  readonly at: number;
  readonly lo: number;
  readonly hi: number;
  readonly allowed: number;
  /** Upper entries, the top one first, by their low words. */
  readonly upper: readonly number[];
}

export const pteBytes = (pae: boolean): 4 | 8 => (pae ? 8 : 4);
/** Index of `va` in the top-level table. */
export const topIndex = (pae: boolean, va: number): number => va >>> (pae ? 30 : 22);

/** The entry for `va` in the tables at `top`; null: some upper level is not present, or the guest is dead. */
export function guestEntry(host: LguestHost, top: number, va: number): GuestEntry | null {
  const { pae } = host.state;
  const upper: number[] = [];
  const at = leafAt(host, top, va, upper);
  if (at < 0) return null;
  const lo = readGuest(host, at);
  const hi = pae ? readGuest(host, at + 4) : 0;
  if (host.state.dead) return null;
  let allowed = PTE_RW | PTE_US;
  // Entries of a page-directory-pointer table have no such bits.
  for (let n = pae ? 1 : 0; n < upper.length; n++) allowed &= upper[n]!;
  return { at, lo, hi, allowed, upper };
}

/** Where it stands, -1 as above; `upper` takes the low words of those above it, the top one first. */
function leafAt(host: LguestHost, top: number, va: number, upper: number[] | null): number {
  const { pae } = host.state;
  const bytes = pteBytes(pae);
  let table = top;
  for (let level = pae ? 3 : 2; level > 1; level--) {
    const at = table + indexAt(pae, va, level) * bytes;
    const lo = readGuest(host, at);
    const hi = pae ? readGuest(host, at + 4) : 0;
    if (host.state.dead || (lo & PTE_P) === 0) return -1;
    upper?.push(lo);
    if (!upperIsFine(host, level, lo, hi)) return -1;
    table = lo - (lo & FLAGS);
  }
  return table + indexAt(pae, va, 1) * bytes;
}

export const indexAt = (pae: boolean, va: number, level: number): number =>
  pae ? (va >>> (9 * level + 3)) & 0x1ff : (va >>> (10 * level + 2)) & 0x3ff;

function upperIsFine(host: LguestHost, level: number, lo: number, hi: number): boolean {
  const flags = lo & FLAGS;
  const wrong = flags & ~(level === 3 ? PTE_P : TABLE_FLAGS) || !frameIsFine(host, lo, hi);
  if (!wrong) return true;
  const name = level === 2 && host.state.pae ? 'middle' : 'top';
  killGuest(host, `bad ${name}-level page table entry ${entryText(lo, hi)}`);
  return false;
}

/** False: the guest is dead. */
export function leafIsFine(host: LguestHost, lo: number, hi: number): boolean {
  if ((lo & PTE_PSE) === 0 && frameIsFine(host, lo, hi)) return true;
  killGuest(host, `bad page table entry ${entryText(lo, hi)}`);
  return false;
}

function frameIsFine({ memory }: LguestHost, lo: number, hi: number): boolean {
  return (hi & ~XD) === 0 && memory.contains(lo - (lo & FLAGS), PAGE);
}

const entryText = (lo: number, hi: number) =>
  hi === 0 ? hex(lo) : `${hex(hi)}${(lo >>> 0).toString(16).padStart(8, '0')}`;

/** Physical address behind `va` in the running tables, whatever the shadow says; -1: the guest is dead. */
export function guestPa(host: LguestHost, va: number): number {
  const at = leafAt(host, host.shadow.top(), va, null);
  const lo = at < 0 ? 0 : readGuest(host, at);
  if (lo & PTE_P) return lo - (lo & FLAGS) + (va & FLAGS);
  killGuest(host, `bad address ${hex(va)}`);
  return -1;
}
