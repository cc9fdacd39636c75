// Hand-made page tables for tests: one mapping at a time, in each of the paging modes.

import {
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
} from '../control-bits.ts';
import type { SmallMachine } from './small-machine.ts';

export const P = 1n;
export const W = 2n;
export const U = 4n;
export const A = 0x20n;
export const D = 0x40n;
export const PS = 0x80n;
export const G = 0x100n;
export const XD = 1n << 63n;

/** Tables lie here, one frame for each level: root first. */
export const TABLES = 0x10000;
export const tableAt = (depth: number) => TABLES + depth * 0x1000;

export type Paging = '32-bit' | 'pae' | '4-level';
const SHIFTS: Readonly<Record<Paging, readonly number[]>> = {
  '32-bit': [22, 12],
  pae: [30, 21, 12],
  '4-level': [39, 30, 21, 12],
};

/** Turns paging on, with NXE and WP, at CPL 0. */
export function enablePaging(m: SmallMachine, paging: Paging): void {
  const { state } = m;
  state.set('cr0', (CR0_PE | CR0_PG | CR0_WP) >>> 0);
  state.set('cr3', TABLES);
  state.set('cr4', paging === '32-bit' ? CR4_PSE : CR4_PAE);
  state.set(
    'efer',
    paging === '4-level' ? EFER_LME | EFER_LMA | EFER_NXE : paging === 'pae' ? EFER_NXE : 0,
  );
  state.set('eflags', 2);
  if (paging === '4-level') state.setSeg(1, 12, 0xa09b);
  else state.setSeg(1, 12, 0xc09b);
  m.cx.modeChanged();
  m.mmu.flushAll();
}

/** Address of the entry for `va` at `depth` (0: the root). All mappings share one table a level. */
export function entryAt(paging: Paging, va: number, depth: number): number {
  const shift = SHIFTS[paging][depth] as number;
  const bits = paging === '32-bit' ? 10 : paging === 'pae' && depth === 0 ? 2 : 9;
  const index = Number(BigInt.asUintN(bits, BigInt(va) >> BigInt(shift)));
  return tableAt(depth) + index * (paging === '32-bit' ? 4 : 8);
}

/** Maps the page of `va`: `leaf` is the last entry, at `depth` (default: the last level); entries above allow everything. */
export function map(
  m: SmallMachine,
  paging: Paging,
  va: number,
  leaf: bigint,
  depth = SHIFTS[paging].length - 1,
  above: bigint = P | W | U,
): void {
  for (let n = 0; n < depth; n++) {
    const rights = paging === 'pae' && n === 0 ? P : above;
    put(m, paging, entryAt(paging, va, n), BigInt(tableAt(n + 1)) | rights);
  }
  put(m, paging, entryAt(paging, va, depth), leaf);
}

export function put(m: SmallMachine, paging: Paging, gpa: number, entry: bigint): void {
  if (paging === '32-bit') m.write32(gpa, Number(BigInt.asUintN(32, entry)));
  else m.write64(gpa, BigInt.asUintN(64, entry));
}

export function entryOf(m: SmallMachine, paging: Paging, gpa: number): bigint {
  return paging === '32-bit' ? BigInt(m.read32(gpa)) : m.read64(gpa);
}
