// LDT pages of a PV guest: checked and mapped when the processor first looks at them.

import { TYPE_DESCRIPTORS } from './frames.ts';
import { mfnOf, PTE_P, slotOf } from './page-tables.ts';
import { currentVcpu, type PvDomain } from './pv-domain.ts';

const PAGE = 4096;

/** Maps the page that holds the byte `offset` of the LDT. False: the guest has nothing fit there. */
export function mapLdtPage(pv: PvDomain, offset: number): boolean {
  const vcpu = currentVcpu(pv);
  if (offset >= vcpu.ldtEntries * 8) return false;
  const n = Math.floor(offset / PAGE);
  if (vcpu.ldtFrames[n]! >= 0) return true;
  const va = vcpu.ldtBase + n * PAGE;
  // Always by the kernel's tables: the user's need not have it (Xen 4.17, pv_map_ldt_shadow_page).
  const l1 = pv.tables.l1Of(vcpu.kernelTable, va);
  if (l1 < 0) return false;
  const slot = slotOf(va >>> 0, 0, 1);
  const lo = pv.tables.lo(l1, slot);
  if ((lo & PTE_P) === 0) return false;
  const mfn = mfnOf(lo, pv.tables.hi(l1, slot));
  if (pv.tables.getFrameAndType(mfn, TYPE_DESCRIPTORS) !== 0) return false;
  vcpu.ldtFrames[n] = mfn;
  pv.space.mapLdt(pv.current, n, mfn);
  return true;
}
