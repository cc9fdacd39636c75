// mmuext_op: pins page tables, switches address spaces, flushes translations, sets the LDT.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { NO_ARGUMENTS } from '../../seen.ts';
import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import { DOMID_SELF } from '../../xen/abi/xen.ts';
import { type Call, defineHypercall, type Requests } from '../../xen/define.ts';
import * as abi from '../abi.ts';
import { switchKernelTable, switchUserTable } from '../address-space.ts';
import { readFrame } from '../frame-words.ts';
import { TYPE_L1, TYPE_WRITABLE } from '../frames.ts';
import {
  currentVcpu,
  dropLdt,
  isGuestAddress,
  loadLdt,
  type PvDomain,
  pvOf,
} from '../pv-domain.ts';

const OPS_PER_TURN = 128;
const LDT_ENTRIES_MAX = 8192;
/** No frame: what is beyond 2^53 cannot be one. */
const NO_FRAME = Number.MAX_SAFE_INTEGER;

const REQUESTS: Requests = {
  [abi.MMUEXT_PIN_L1_TABLE]: { name: 'MMUEXT_PIN_L1_TABLE' },
  [abi.MMUEXT_PIN_L2_TABLE]: { name: 'MMUEXT_PIN_L2_TABLE' },
  [abi.MMUEXT_PIN_L3_TABLE]: { name: 'MMUEXT_PIN_L3_TABLE' },
  [abi.MMUEXT_PIN_L4_TABLE]: { name: 'MMUEXT_PIN_L4_TABLE' },
  [abi.MMUEXT_UNPIN_TABLE]: { name: 'MMUEXT_UNPIN_TABLE' },
  [abi.MMUEXT_NEW_BASEPTR]: { name: 'MMUEXT_NEW_BASEPTR' },
  [abi.MMUEXT_TLB_FLUSH_LOCAL]: { name: 'MMUEXT_TLB_FLUSH_LOCAL' },
  [abi.MMUEXT_INVLPG_LOCAL]: { name: 'MMUEXT_INVLPG_LOCAL' },
  [abi.MMUEXT_TLB_FLUSH_MULTI]: { name: 'MMUEXT_TLB_FLUSH_MULTI' },
  [abi.MMUEXT_INVLPG_MULTI]: { name: 'MMUEXT_INVLPG_MULTI' },
  [abi.MMUEXT_TLB_FLUSH_ALL]: { name: 'MMUEXT_TLB_FLUSH_ALL' },
  [abi.MMUEXT_INVLPG_ALL]: { name: 'MMUEXT_INVLPG_ALL' },
  [abi.MMUEXT_FLUSH_CACHE]: {
    name: 'MMUEXT_FLUSH_CACHE',
    refuse: [-EACCES, 'the caches are for domains with memory of devices'],
  },
  [abi.MMUEXT_SET_LDT]: { name: 'MMUEXT_SET_LDT' },
  [abi.MMUEXT_NEW_USER_BASEPTR]: { name: 'MMUEXT_NEW_USER_BASEPTR' },
  [abi.MMUEXT_CLEAR_PAGE]: { name: 'MMUEXT_CLEAR_PAGE' },
  [abi.MMUEXT_COPY_PAGE]: { name: 'MMUEXT_COPY_PAGE' },
  [abi.MMUEXT_FLUSH_CACHE_GLOBAL]: {
    name: 'MMUEXT_FLUSH_CACHE_GLOBAL',
    refuse: [-EINVAL, 'the caches are for domains with memory of devices'],
  },
  [abi.MMUEXT_MARK_SUPER]: {
    name: 'MMUEXT_MARK_SUPER',
    refuse: [-EOPNOTSUPP, 'there are no superpages'],
  },
  [abi.MMUEXT_UNMARK_SUPER]: {
    name: 'MMUEXT_UNMARK_SUPER',
    refuse: [-EOPNOTSUPP, 'there are no superpages'],
  },
};

export const mmuextOp = defineHypercall({
  number: 26,
  name: 'mmuext_op',
  ref: 'xen.h struct mmuext_op',
  callers: ['pv64', 'pv32'],
  inPlace: true,
  requests: REQUESTS,
  args: { uops: 'gva', count: 'u32', pdone: 'gva', foreigndom: 'u32' },
  handle(call, { uops, count, pdone, foreigndom }) {
    const pv = pvOf(call);
    const wanted = (count & ~abi.MMU_UPDATE_PREEMPTED) >>> 0;
    const before =
      count & abi.MMU_UPDATE_PREEMPTED && pdone !== 0 ? (call.guest.u32(pdone) ?? 0) : 0;
    if (foreigndom !== DOMID_SELF && foreigndom !== call.domain.id)
      return foreigndom === 0 || foreigndom > DOMID_SELF ? -EPERM : -ESRCH;
    const bytes = call.wide ? 24 : 12;
    let error = 0;
    let done = 0;
    for (; done < wanted; done++) {
      if (done === OPS_PER_TURN) {
        if (pdone !== 0) call.guest.putU32(pdone, before + done);
        return call.continueLater({
          uops: uops + done * bytes,
          count: ((wanted - done) | abi.MMU_UPDATE_PREEMPTED) >>> 0,
        });
      }
      error = one(pv, call, uops + done * bytes, bytes);
      if (error !== 0) break;
    }
    if (pdone !== 0) call.guest.putU32(pdone, before + done);
    return error;
  },
});

function one(pv: PvDomain, call: Call, at: number, bytes: number): number {
  if (!isGuestAddress(pv, at) || !readFrame(pv, at, bytes)) return -EFAULT;
  const { frame } = pv;
  const cmd = frame[0]! >>> 0;
  const lo = frame[call.wide ? 2 : 1]! >>> 0;
  const hi = call.wide ? frame[3]! : 0;
  const second = frame[call.wide ? 4 : 2]! >>> 0;
  const secondHi = call.wide ? frame[5]! : 0;
  const { seen, lacks, onlyCounted } = call.domain.platform;
  const lacking = lacks?.(entryName(cmd)) ?? false;
  const result = lacking ? -ENOSYS : perform(call, cmd, { lo, hi, second, secondHi });
  const args = onlyCounted ? NO_ARGUMENTS : { arg1: hi * 4294967296 + lo };
  seen?.(entryName(cmd), args, result, undefined, 'mmuext_op');
  return result;
}

const entryName = (cmd: number): string => ENTRY_NAMES.get(cmd) ?? `mmuext_op.${cmd}`;

const ENTRY_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(REQUESTS).map(([cmd, { name }]) => [Number(cmd), `mmuext_op.${name}`]),
);

interface Words {
  readonly lo: number;
  readonly hi: number;
  readonly second: number;
  readonly secondHi: number;
}

function perform(call: Call, cmd: number, words: Words): number {
  const pv = pvOf(call);
  const { tables } = pv;
  const mfn = frame(words.lo, words.hi);
  const va = words.hi * 4294967296 + words.lo;
  switch (cmd) {
    case abi.MMUEXT_PIN_L1_TABLE:
    case abi.MMUEXT_PIN_L2_TABLE:
    case abi.MMUEXT_PIN_L3_TABLE:
    case abi.MMUEXT_PIN_L4_TABLE:
      // A 32-bit guest has no such table.
      if (pv.state.narrow && cmd === abi.MMUEXT_PIN_L4_TABLE) return -EINVAL;
      return pin(pv, mfn, TYPE_L1 + cmd - abi.MMUEXT_PIN_L1_TABLE);
    case abi.MMUEXT_UNPIN_TABLE:
      return unpin(pv, mfn);
    case abi.MMUEXT_NEW_BASEPTR:
      return switchKernelTable(pv, mfn);
    case abi.MMUEXT_NEW_USER_BASEPTR:
      return switchUserTable(pv, mfn);
    case abi.MMUEXT_TLB_FLUSH_LOCAL:
    case abi.MMUEXT_TLB_FLUSH_MULTI:
    case abi.MMUEXT_TLB_FLUSH_ALL:
      if (cmd === abi.MMUEXT_TLB_FLUSH_MULTI && !namesVcpus(call, words)) return -EINVAL;
      tables.flushAll();
      return 0;
    case abi.MMUEXT_INVLPG_LOCAL:
    case abi.MMUEXT_INVLPG_MULTI:
    case abi.MMUEXT_INVLPG_ALL:
      if (cmd === abi.MMUEXT_INVLPG_MULTI && !namesVcpus(call, words)) return -EINVAL;
      if (isGuestAddress(pv, va)) pv.cpu.mmu.flushPage(va);
      return 0;
    case abi.MMUEXT_SET_LDT:
      return setLdt(pv, va, words.second);
    case abi.MMUEXT_CLEAR_PAGE:
      return clearPage(pv, mfn);
    case abi.MMUEXT_COPY_PAGE:
      return copyPage(pv, mfn, frame(words.second, words.secondHi));
    default:
      return REQUESTS[cmd]?.refuse?.[0] ?? -ENOSYS;
  }
}

/** A word of the mask of vCPUs can be read. There is one vCPU: whoever is named, it is the one that runs. */
function namesVcpus({ guest }: Call, { second, secondHi }: Words): boolean {
  return guest.ulong(secondHi * 4294967296 + second) !== null;
}

function frame(lo: number, hi: number): number {
  const mfn = (hi >>> 0) * 4294967296 + lo;
  return Number.isSafeInteger(mfn) ? mfn : NO_FRAME;
}

/** A pinned table stays one when nothing else refers to it. */
function pin({ frames, tables }: PvDomain, mfn: number, type: number): number {
  if (!frames.get(mfn)) return -EINVAL;
  const error = tables.getType(mfn, type);
  if (error !== 0) {
    tables.putFrame(mfn);
    return error;
  }
  if (frames.isPinned(mfn)) {
    tables.putFrameAndType(mfn);
    return -EINVAL;
  }
  frames.setPinned(mfn, true);
  return 0;
}

function unpin({ frames, tables }: PvDomain, mfn: number): number {
  if (!frames.get(mfn)) return -EINVAL;
  const pinned = frames.isPinned(mfn);
  if (pinned) {
    frames.setPinned(mfn, false);
    tables.putFrameAndType(mfn);
  }
  tables.putFrame(mfn);
  return pinned ? 0 : -EINVAL;
}

function setLdt(pv: PvDomain, base: number, entries: number): number {
  if (base % 4096 !== 0 || entries > LDT_ENTRIES_MAX) return -EINVAL;
  if (!isCanonical(base) || !isGuestAddress(pv, base)) return -EINVAL;
  const vcpu = currentVcpu(pv);
  if (vcpu.ldtEntries === entries && vcpu.ldtBase === base) return 0;
  dropLdt(pv, vcpu);
  vcpu.ldtBase = base;
  vcpu.ldtEntries = entries;
  loadLdt(pv, vcpu);
  return 0;
}

function clearPage({ frames, tables, platform }: PvDomain, mfn: number): number {
  if (!frames.get(mfn)) return -EINVAL;
  const error = tables.getType(mfn, TYPE_WRITABLE);
  if (error === 0) {
    platform.ram.fill(mfn * 4096, 4096, 0);
    tables.putType(mfn);
  }
  tables.putFrame(mfn);
  return error === 0 ? 0 : -EINVAL;
}

function copyPage({ frames, tables, platform }: PvDomain, to: number, from: number): number {
  if (!frames.get(from)) return -EINVAL;
  let error = tables.getFrameAndType(to, TYPE_WRITABLE);
  if (error === 0) {
    const bytes = platform.ram.read(from * 4096, 4096);
    if (bytes) platform.ram.write(to * 4096, bytes);
    tables.putFrameAndType(to);
  } else error = -EINVAL;
  tables.putFrame(from);
  return error;
}
