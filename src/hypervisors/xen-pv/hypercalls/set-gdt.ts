// set_gdt: frames that hold the guest's descriptors, below Xen's own.

import { EFAULT, EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { FIRST_RESERVED_GDT_ENTRY } from '../abi.ts';
import { TYPE_DESCRIPTORS } from '../frames.ts';
import { currentVcpu, dropGdt, type PvDomain, pvOf } from '../pv-domain.ts';

const ENTRIES_PER_FRAME = 512;

export const setGdt = defineHypercall({
  number: 2,
  name: 'set_gdt',
  ref: 'xen.h __HYPERVISOR_set_gdt',
  callers: ['pv64', 'pv32'],
  args: { frame_list: 'gva', entries: 'u32' },
  handle(call, { frame_list, entries }) {
    if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
    const list: number[] = [];
    for (let n = 0; n < Math.ceil(entries / ENTRIES_PER_FRAME); n++) {
      const mfn = call.guest.ulong(frame_list + n * (call.wide ? 8 : 4));
      if (mfn === null) return -EFAULT;
      list.push(mfn);
    }
    return installGdt(pvOf(call), list, entries);
  },
});

/** All or nothing: a frame that cannot hold descriptors (mapped writable, a table, not the guest's) refuses the whole list. */
export function installGdt(pv: PvDomain, list: readonly number[], entries: number): number {
  for (const [n, mfn] of list.entries()) {
    if (pv.tables.getFrameAndType(mfn, TYPE_DESCRIPTORS) === 0) continue;
    for (const taken of list.slice(0, n)) pv.tables.putFrameAndType(taken);
    return -EINVAL;
  }
  const vcpu = currentVcpu(pv);
  dropGdt(pv, vcpu);
  vcpu.gdtEntries = entries;
  for (const [n, mfn] of list.entries()) {
    vcpu.gdtFrames[n] = mfn;
    pv.space.mapGdt(pv.current, n, mfn);
  }
  pv.tables.flushAll();
  return 0;
}
