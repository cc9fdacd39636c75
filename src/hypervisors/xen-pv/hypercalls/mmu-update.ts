// mmu_update: checked changes of page-table entries, and of the machine-to-physical table.

import { NO_ARGUMENTS } from '../../seen.ts';
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import { DOMID_SELF } from '../../xen/abi/xen.ts';
import { type Call, defineHypercall, type Requests } from '../../xen/define.ts';
import {
  MMU_MACHPHYS_UPDATE,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_NO_TRANSLATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  MMU_UPDATE_BYTES,
  MMU_UPDATE_PREEMPTED,
} from '../abi.ts';
import { readFrame } from '../frame-words.ts';
import { TYPE_L1, TYPE_WRITABLE } from '../frames.ts';
import { isGuestAddress, type PvDomain, pvOf } from '../pv-domain.ts';

/** Requests done before events are looked at. */
const REQUESTS_PER_TURN = 512;
const COMMAND = 7;
const SELF_ONLY = DOMID_SELF;

const REQUESTS: Requests = {
  [MMU_NORMAL_PT_UPDATE]: { name: 'MMU_NORMAL_PT_UPDATE' },
  [MMU_MACHPHYS_UPDATE]: { name: 'MMU_MACHPHYS_UPDATE' },
  [MMU_PT_UPDATE_PRESERVE_AD]: { name: 'MMU_PT_UPDATE_PRESERVE_AD' },
  [MMU_PT_UPDATE_NO_TRANSLATE]: { name: 'MMU_PT_UPDATE_NO_TRANSLATE' },
};

export const mmuUpdate = defineHypercall({
  number: 1,
  name: 'mmu_update',
  ref: 'xen.h struct mmu_update',
  callers: ['pv64', 'pv32'],
  inPlace: true,
  requests: REQUESTS,
  requestAt: { mask: COMMAND },
  args: { ureqs: 'gva', count: 'u32', pdone: 'gva', foreigndom: 'u32' },
  handle(call, { ureqs, count, pdone, foreigndom }) {
    const pv = pvOf(call);
    const wanted = (count & ~MMU_UPDATE_PREEMPTED) >>> 0;
    const before = count & MMU_UPDATE_PREEMPTED && pdone !== 0 ? (call.guest.u32(pdone) ?? 0) : 0;
    const refused = foreign(call, foreigndom);
    if (refused !== 0) return refused;
    let error = 0;
    let done = 0;
    for (; done < wanted; done++) {
      if (done === REQUESTS_PER_TURN) {
        if (pdone !== 0) call.guest.putU32(pdone, before + done);
        return call.continueLater({
          ureqs: ureqs + done * MMU_UPDATE_BYTES,
          count: ((wanted - done) | MMU_UPDATE_PREEMPTED) >>> 0,
        });
      }
      error = one(pv, ureqs + done * MMU_UPDATE_BYTES);
      if (error !== 0) break;
    }
    if (pdone !== 0) call.guest.putU32(pdone, before + done);
    return error;
  },
});

/** The upper half names whose table it is, plus one; the lower half whose page goes in. Other domains are not ours to touch. */
function foreign({ domain }: Call, foreigndom: number): number {
  const tables = foreigndom >>> 16;
  if (tables !== 0 && tables - 1 !== SELF_ONLY && tables - 1 !== domain.id)
    return tables - 1 === 0 ? -EPERM : -ESRCH;
  const pages = foreigndom & 0xffff;
  if (pages === SELF_ONLY || pages === domain.id) return 0;
  return pages === 0 || pages > SELF_ONLY ? -EPERM : -ESRCH;
}

function one(pv: PvDomain, at: number): number {
  if (!isGuestAddress(pv, at) || !readFrame(pv, at, MMU_UPDATE_BYTES)) return -EFAULT;
  const { frame } = pv;
  const ptr = frame[0]!;
  const mfn = (frame[1]! >>> 0) * 0x100000 + (ptr >>> 12);
  const lo = frame[2]!;
  const hi = frame[3]!;
  const lacking = pv.platform.lacks?.(updateName(ptr)) ?? false;
  const result = lacking ? -ENOSYS : perform(pv, ptr, mfn, lo, hi);
  reportUpdate(pv, ptr, mfn, lo, hi, result);
  return result;
}

function perform(pv: PvDomain, ptr: number, mfn: number, lo: number, hi: number): number {
  switch (ptr & COMMAND) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
      return updateEntry(pv, mfn, (ptr & 0xfff) >>> 3, lo, hi, false);
    case MMU_PT_UPDATE_PRESERVE_AD:
      return updateEntry(pv, mfn, (ptr & 0xfff) >>> 3, lo, hi, true);
    case MMU_MACHPHYS_UPDATE: {
      if (!pv.frames.isGuests(mfn)) return -EINVAL;
      const pfn = (hi >>> 0) * 4294967296 + (lo >>> 0);
      pv.space.setPfn(mfn, Number.isSafeInteger(pfn) ? pfn : null);
      return 0;
    }
    default:
      return -ENOSYS;
  }
}

const ENTRY_NAMES = Array.from(
  { length: COMMAND + 1 },
  (_, n) => `mmu_update.${REQUESTS[n]?.name ?? n}`,
);
/** By the level of the table, from the lowest. */
const OPERATIONS = ['mmu.set_pte', 'mmu.set_pmd', 'mmu.set_pud', 'mmu.set_p4d'] as const;

const updateName = (ptr: number): string => ENTRY_NAMES[ptr & COMMAND]!;

/** The level of the table says which operation it was. */
function reportUpdate(
  { platform, frames }: PvDomain,
  ptr: number,
  mfn: number,
  lo: number,
  hi: number,
  result: number,
): void {
  if (!platform.seen) return;
  const command = ptr & COMMAND;
  const value = () => `0x${((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`;
  platform.seen(
    updateName(ptr),
    platform.onlyCounted
      ? NO_ARGUMENTS
      : { entry: mfn * 4096 + (ptr & 0xfff & ~COMMAND), value: value() },
    result,
    command === MMU_NORMAL_PT_UPDATE ? OPERATIONS[frames.typeOf(mfn) - TYPE_L1] : undefined,
    'mmu_update',
  );
}

/** What the frame is decides what the entry is; a page that is no table takes a plain store. */
function updateEntry(
  pv: PvDomain,
  mfn: number,
  slot: number,
  lo: number,
  hi: number,
  preserve: boolean,
): number {
  const { frames, tables } = pv;
  if (!frames.get(mfn)) return -EINVAL;
  let error = 0;
  if (tables.isTable(mfn)) error = tables.change(mfn, slot, frames.typeOf(mfn), lo, hi, preserve);
  else {
    error = tables.getType(mfn, TYPE_WRITABLE);
    if (error === 0) {
      tables.put(mfn, slot, lo, hi);
      tables.putType(mfn);
    }
  }
  tables.putFrame(mfn);
  return error;
}
