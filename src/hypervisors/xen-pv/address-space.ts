// Switching a PV guest's address spaces: the kernel's top-level table and the user's.

import { EINVAL } from '../xen/abi/errno.ts';
import { currentVcpu, dropLdt, loadNewTable, type PvDomain } from './pv-domain.ts';

/** MMUEXT_NEW_BASEPTR and MOV to CR3. 0 or an error, after which the old one stays. */
export function switchKernelTable(pv: PvDomain, mfn: number): number {
  const vcpu = currentVcpu(pv);
  if (vcpu.kernelTable === mfn) {
    loadNewTable(pv, mfn);
    return 0;
  }
  if (mfn >= pv.frames.count) return -EINVAL;
  const error = pv.tables.getFrameAndType(mfn, pv.tables.topType);
  if (error !== 0) return error;
  dropLdt(pv, vcpu);
  const old = vcpu.kernelTable;
  vcpu.kernelTable = mfn;
  loadNewTable(pv, mfn);
  if (old >= 0) pv.tables.putFrameAndType(old);
  return 0;
}

/** MMUEXT_NEW_USER_BASEPTR; 0: none. A 32-bit guest has one address space for both. */
export function switchUserTable(pv: PvDomain, mfn: number): number {
  if (pv.state.narrow) return -EINVAL;
  const vcpu = currentVcpu(pv);
  const next = mfn === 0 ? -1 : mfn;
  const old = vcpu.userTable;
  if (next === old) return 0;
  if (next >= 0) {
    if (next >= pv.frames.count) return -EINVAL;
    const error = pv.tables.getFrameAndType(next, pv.tables.topType);
    if (error !== 0) return error;
  }
  vcpu.userTable = next;
  if (old >= 0) pv.tables.putFrameAndType(old);
  return 0;
}
