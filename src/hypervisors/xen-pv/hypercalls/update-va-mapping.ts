// update_va_mapping: changes the entry that maps an address in the running address space, and flushes it.

import type { Pair } from '../../../base/struct.ts';
import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_TLB_FLUSH } from '../abi.ts';
import { TYPE_L1 } from '../frames.ts';
import { slotOf } from '../page-tables.ts';
import { currentVcpu, isGuestAddress, type PvDomain, pvOf } from '../pv-domain.ts';

export const updateVaMapping = defineHypercall({
  number: 14,
  name: 'update_va_mapping',
  ref: 'xen.h UVMF_TLB_FLUSH',
  callers: ['pv64', 'pv32'],
  inPlace: true,
  args: { va: 'gva', val: 'u64', flags: 'ulong' },
  handle: (call, { va, val, flags }) => changeMapping(pvOf(call), va, val, flags),
});

export function changeMapping(pv: PvDomain, va: number, val: Pair, flags: number): number {
  const { tables } = pv;
  const table = mappingTable(pv, va);
  if (table < 0) return -EINVAL;
  const slot = slotOf(va >>> 0, 0, 1);
  const error = tables.change(table, slot, TYPE_L1, val.lo | 0, val.hi | 0, false);
  // The flush happens even if the change does not. There is one vCPU, so all ways to name some name it.
  const kind = flags % 4;
  if ((kind & UVMF_FLUSHTYPE_MASK) === UVMF_TLB_FLUSH) tables.flushAll();
  else if ((kind & UVMF_FLUSHTYPE_MASK) === UVMF_INVLPG) pv.cpu.mmu.flushPage(va);
  return error;
}

/** Frame of the guest's L1 table that maps the address in the running address space, or -1. */
export function mappingTable(pv: PvDomain, va: number): number {
  const { tables, frames } = pv;
  if (!isGuestAddress(pv, va)) return -1;
  const table = tables.l1Of(currentVcpu(pv).kernelTable, va);
  return table < 0 || !frames.isGuests(table) || frames.typeOf(table) !== TYPE_L1 ? -1 : table;
}
