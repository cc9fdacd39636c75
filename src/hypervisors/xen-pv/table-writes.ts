// Ordinary stores of a guest's kernel to its L1 tables: Xen makes them checked updates.

import { NO_ARGUMENTS } from '../seen.ts';
import { VMASST_TYPE_writable_pagetables } from './abi.ts';
import { bytesInTlb } from './frame-words.ts';
import { TYPE_L1 } from './frames.ts';
import { l1Slot, mfnOf, PTE_P, PTE_RW } from './page-tables.ts';
import { plainStoreAt } from './plain-store.ts';
import { currentVcpu, type PvDomain } from './pv-domain.ts';

const FOUR_GIB = 4294967296;

/**
 * The store at RIP has met a page that is mapped read-only at `address`. If that is an L1 table in use, the store is made
 * through the table's rules, for a guest that has asked for it by vm_assist. False: nothing has happened, and the fault is the guest's.
 */
export function emulateTableWrite(pv: PvDomain, address: number): boolean {
  const { tables, frames } = pv;
  if ((pv.state.assists & (1 << VMASST_TYPE_writable_pagetables)) === 0) return false;
  const vcpu = currentVcpu(pv);
  const l1 = tables.l1Of(vcpu.kernelTable, address);
  if (l1 < 0) return false;
  const slot = l1Slot(address | 0);
  const lo = tables.lo(l1, slot);
  if ((lo & (PTE_P | PTE_RW)) !== PTE_P) return false;
  const table = mfnOf(lo, tables.hi(l1, slot));
  if (!frames.isGuests(table) || frames.typeOf(table) !== TYPE_L1 || frames.uses(table) === 0)
    return false;
  writing.pv = pv;
  writing.table = table;
  const done = storePlain(pv, address) ?? pv.cpu.stepWithStore(address, storeEntry);
  writing.pv = null;
  return done;
}

/** The same by hand, where the instruction is no more than a store; null: it is more, and has to run. */
function storePlain(pv: PvDomain, address: number): boolean | null {
  const { cpu } = pv;
  const store = plainStoreAt(pv, address);
  if (store === null) return null;
  // It would read the page to find its own bytes there: the TLB gets to know of it, if it has not done so.
  const known = bytesInTlb(pv, address | 0, Math.floor(address / FOUR_GIB) | 0, 1, 0) !== 0;
  if (!known && cpu.mmu.ramAddress(address, false, 'current') < 0) return null;
  const { length, bytes, lo, hi } = store;
  if (!storeEntry(address, bytes, lo, bytes === 8 ? hi : 0)) return false;
  cpu.complete(length);
  return true;
}

/** As the manifest calls it. */
export const TABLE_STORE = 'emulated store to a page table';

/** What the filter needs to know of the store under way; nothing of it outlives the call. */
const writing: { pv: PvDomain | null; table: number } = { pv: null, table: 0 };

/** Naturally aligned stores of 1 to 8 bytes; narrow ones change a part of the entry (Xen 4.17, ro-page-fault.c). */
function storeEntry(va: number, bytes: number, lo: number, hi: number): boolean {
  const { pv, table } = writing;
  if (pv === null || (va & (bytes - 1)) !== 0) return false;
  const { tables } = pv;
  const slot = (va & 0xfff) >>> 3;
  if (bytes === 8) return change(pv, table, slot, lo, hi);
  const shift = (va & 3) * 8;
  const mask = bytes === 4 ? -1 : ((1 << (8 * bytes)) - 1) << shift;
  const oldLo = tables.lo(table, slot);
  const oldHi = tables.hi(table, slot);
  const upper = (va & 4) !== 0;
  const newLo = upper ? oldLo : (oldLo & ~mask) | ((lo << shift) & mask);
  const newHi = upper ? (oldHi & ~mask) | ((lo << shift) & mask) : oldHi;
  if (change(pv, table, slot, newLo, newHi)) return true;
  if (!pv.state.narrow || bytes !== 4 || !upper || (newLo & PTE_P) === 0) return false;
  // PAE kernels store the halves one after the other, some the upper one first: the lower one will follow.
  return change(pv, table, slot, newLo & ~PTE_P, newHi);
}

function change(pv: PvDomain, table: number, slot: number, lo: number, hi: number): boolean {
  const result = pv.tables.change(table, slot, TYPE_L1, lo, hi, false);
  const { seen, onlyCounted } = pv.platform;
  if (seen && onlyCounted) seen(TABLE_STORE, NO_ARGUMENTS, result);
  else if (seen) {
    const value = `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`;
    seen(TABLE_STORE, { entry: table * 4096 + slot * 8, value }, result);
  }
  return result === 0;
}
