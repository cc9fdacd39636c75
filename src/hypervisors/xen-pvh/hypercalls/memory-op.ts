// memory_op of a PVH guest: its memory map, its reservation, and frames of Xen's own that it puts into its memory.

import {
  EACCES,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  ESRCH,
} from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/memory.ts';
import { DOMID_CONTROL } from '../../xen/abi/xen.ts';
import {
  type Call,
  type CallResult,
  defineHypercall,
  type SubOperation,
} from '../../xen/define.ts';
import type { XenDomain } from '../../xen/domain.ts';
import { isSelf, names, notMine } from '../../xen/domid.ts';
import { grantFrame } from '../../xen/grant-frames.ts';
import {
  badExchange,
  EXTENT_ORDER_MAX,
  givenMemoryMap,
  readMemoryMap,
  SHARED_MEMORY_OPERATIONS,
} from '../../xen/memory-operations.ts';
import { isFrame, type Physmap, type PvhDomain } from '../physmap.ts';

/** Extents done before events are looked at. */
const EXTENTS_PER_TURN = 256;

export const memoryOp = defineHypercall({
  number: 12,
  name: 'memory_op',
  ref: 'memory.h',
  callers: ['hvm'],
  args: { cmd: 'u32', arg: 'gva' },
  subMask: abi.MEMOP_CMD_MASK,
  subOperations: {
    ...SHARED_MEMORY_OPERATIONS,
    [abi.XENMEM_increase_reservation]: {
      name: 'XENMEM_increase_reservation',
      handle: (call, at, args) => extents(call, at, args, increase),
    },
    [abi.XENMEM_decrease_reservation]: {
      name: 'XENMEM_decrease_reservation',
      handle: (call, at, args) => extents(call, at, args, giveBack),
    },
    [abi.XENMEM_populate_physmap]: {
      name: 'XENMEM_populate_physmap',
      handle: (call, at, args) => extents(call, at, args, populate),
    },
    [abi.XENMEM_maximum_ram_page]: {
      name: 'XENMEM_maximum_ram_page',
      handle: ({ domain }) => physmapOf(domain).last(),
    },
    [abi.XENMEM_current_reservation]: {
      name: 'XENMEM_current_reservation',
      handle: (call, at) => reservation(call, at, (physmap) => physmap.state.reserved),
    },
    [abi.XENMEM_maximum_reservation]: {
      name: 'XENMEM_maximum_reservation',
      handle: (call, at) => reservation(call, at, (physmap) => physmap.maximum),
    },
    [abi.XENMEM_maximum_gpfn]: {
      name: 'XENMEM_maximum_gpfn',
      handle: (call, at) => reservation(call, at, (physmap) => physmap.last()),
    },
    [abi.XENMEM_add_to_physmap]: { name: 'XENMEM_add_to_physmap', handle: addToPhysmap },
    [abi.XENMEM_add_to_physmap_batch]: { name: 'XENMEM_add_to_physmap_batch', handle: addBatch },
    [abi.XENMEM_remove_from_physmap]: {
      name: 'XENMEM_remove_from_physmap',
      handle: removeFromPhysmap,
    },
    [abi.XENMEM_memory_map]: { name: 'XENMEM_memory_map', handle: memoryMap },
    [abi.XENMEM_machine_memory_map]: {
      name: 'XENMEM_machine_memory_map',
      refuse: [-ENOSYS, 'the memory map of the machine is not for translated guests'],
    },
    [abi.XENMEM_set_memory_map]: { name: 'XENMEM_set_memory_map', handle: setMemoryMap },
    [abi.XENMEM_exchange]: { name: 'XENMEM_exchange', handle: exchange },
    [abi.XENMEM_machphys_mapping]: {
      name: 'XENMEM_machphys_mapping',
      refuse: [-ENOSYS, 'a translated guest has no machine-to-physical table'],
    },
    [abi.XENMEM_machphys_mfn_list]: { name: 'XENMEM_machphys_mfn_list', handle: machphysList },
    [abi.XENMEM_set_pod_target]: podTarget('XENMEM_set_pod_target'),
    [abi.XENMEM_get_pod_target]: podTarget('XENMEM_get_pod_target'),
    [abi.XENMEM_acquire_resource]: {
      name: 'XENMEM_acquire_resource',
      refuse: [-EACCES, 'a translated guest has no frames that could be counted'],
    },
  },
});

/** Only HVM domains are populated on demand, and only the toolstack asks. */
function podTarget(name: string): SubOperation {
  return {
    name,
    first: names(abi.podTarget, (domain, domid) => {
      if (isSelf(domain, domid)) return 0;
      return domid === DOMID_CONTROL ? -EINVAL : -ESRCH;
    }),
    refuse: [-EPERM, 'the toolstack says how much of a domain is there'],
  };
}

/** For calls on a domain's physical map: that of the control domain is not to be changed. */
function notMapped(domain: XenDomain, domid: number): number {
  if (isSelf(domain, domid)) return 0;
  return domid === DOMID_CONTROL ? -EACCES : -ESRCH;
}

const physmapOf = (domain: XenDomain): Physmap => (domain as PvhDomain).physmap;

/**
 * Walks a list of extents; how far it has come is in the high bits of the command when the call continues. The result is
 * the number of extents done, whatever stopped it.
 */
function extents(
  call: Call,
  at: number,
  args: Readonly<Record<string, number>>,
  act: (physmap: Physmap, first: number, count: number) => boolean,
): CallResult {
  const { domain, guest, wide } = call;
  const from = args.cmd! >>> abi.MEMOP_EXTENT_SHIFT;
  const arg = guest.read(abi.memoryReservation, at);
  if (!arg || arg.nr_extents >= 2 ** (32 - abi.MEMOP_EXTENT_SHIFT)) return from;
  if (from > arg.nr_extents || arg.extent_order > EXTENT_ORDER_MAX) return from;
  if (!isSelf(domain, arg.domid)) return from;
  const bytes = wide ? 8 : 4;
  for (let n = from; n < arg.nr_extents; n++) {
    if (n - from === EXTENTS_PER_TURN) return call.continueLater({ cmd: goOn(args.cmd!, n) });
    const first = guest.ulong(arg.extent_start + n * bytes);
    if (first === null || !act(physmapOf(domain), first, 1 << arg.extent_order)) return n;
  }
  return arg.nr_extents;
}

const goOn = (cmd: number, n: number): number =>
  ((cmd & abi.MEMOP_CMD_MASK) | (n << abi.MEMOP_EXTENT_SHIFT)) >>> 0;

/** Memory that is nowhere until it is put somewhere. */
function increase(physmap: Physmap, _first: number, count: number): boolean {
  if (physmap.state.reserved + count > physmap.maximum) return false;
  physmap.state.reserved += count;
  return true;
}

/** The hypervisor's own frames are not the guest's to give back. */
function giveBack(physmap: Physmap, first: number, count: number): boolean {
  for (let n = 0; n < count; n++) if (physmap.isBorrowed(first + n)) return false;
  return release(physmap, first, count);
}

function release(physmap: Physmap, first: number, count: number): boolean {
  for (let n = 0; n < count; n++) if (physmap.addressOf(first + n) < 0) return false;
  for (let n = 0; n < count; n++) physmap.remove(first + n);
  physmap.state.reserved -= count;
  return true;
}

/** What is there already stays, and counts as done. */
function populate(physmap: Physmap, first: number, count: number): boolean {
  for (let n = 0; n < count; n++) {
    if (physmap.addressOf(first + n) >= 0) continue;
    if (physmap.state.reserved >= physmap.maximum || !physmap.populate(first + n)) return false;
    physmap.state.reserved++;
  }
  return true;
}

function reservation(
  { domain, guest }: Call,
  at: number,
  answer: (physmap: Physmap) => number,
): number {
  const arg = guest.read(abi.memoryDomain, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.domid);
  return error || answer(physmapOf(domain));
}

/** Of a range, pages are moved one by one; the structure says where a continued call goes on. */
function addToPhysmap(call: Call, at: number): CallResult {
  const { domain, guest } = call;
  const arg = guest.read(abi.addToPhysmap, at);
  if (!arg) return -EFAULT;
  // Only the batch has a place to name another domain.
  if (arg.space === abi.XENMAPSPACE_gmfn_foreign) return -ENOSYS;
  const error = notMapped(domain, arg.domid);
  if (error) return error;
  const { space, idx, gpfn, size } = arg;
  if (space !== abi.XENMAPSPACE_gmfn_range) return addOne(domain, space, idx, gpfn);
  const count = Math.min(size, EXTENTS_PER_TURN);
  for (let n = 0; n < count; n++) {
    const failed = moveOwn(physmapOf(domain), idx + n, gpfn + n);
    if (failed) return failed;
  }
  if (count === size) return 0;
  const rest = { idx: idx + count, gpfn: gpfn + count, size: size - count };
  return guest.write(abi.addToPhysmap, at, rest) ? call.continueLater({}) : -EFAULT;
}

function addBatch(call: Call, at: number, args: Readonly<Record<string, number>>): CallResult {
  const { domain, guest, wide } = call;
  const from = args.cmd! >>> abi.MEMOP_EXTENT_SHIFT;
  const arg = guest.read(abi.addToPhysmapBatch, at);
  if (!arg) return -EFAULT;
  const error = notMapped(domain, arg.domid);
  if (error) return error;
  const bytes = wide ? 8 : 4;
  for (let n = from; n < arg.size; n++) {
    if (n - from === EXTENTS_PER_TURN) return call.continueLater({ cmd: goOn(args.cmd!, n) });
    const idx = guest.ulong(arg.idxs + n * bytes);
    const gpfn = guest.ulong(arg.gpfns + n * bytes);
    if (idx === null || gpfn === null) return -EFAULT;
    if (!guest.putU32(arg.errs + n * 4, addOne(domain, arg.space, idx, gpfn) >>> 0)) return -EFAULT;
  }
  return 0;
}

function addOne(domain: XenDomain, space: number, idx: number, gpfn: number): number {
  const physmap = physmapOf(domain);
  if (!isFrame(gpfn)) return -ENOENT;
  switch (space) {
    case abi.XENMAPSPACE_shared_info:
      return idx === 0 && place(physmap, domain.state.sharedInfo, gpfn) ? 0 : -EINVAL;
    case abi.XENMAPSPACE_grant_table: {
      const frame = grantFrame(domain, idx);
      return frame >= 0 && place(physmap, frame, gpfn) ? 0 : -EINVAL;
    }
    case abi.XENMAPSPACE_gmfn:
      return moveOwn(physmap, idx, gpfn);
    case abi.XENMAPSPACE_gmfn_foreign:
      return -ESRCH;
    case abi.XENMAPSPACE_dev_mmio:
      return -EACCES;
    default:
      return -EINVAL;
  }
}

/** What was at the frame is given back, as a page that is replaced is. */
function place(physmap: Physmap, address: number, gpfn: number): boolean {
  const replaced = physmap.addressOf(gpfn);
  if (replaced === address) return true;
  if (!physmap.place(address, gpfn)) return false;
  if (replaced >= 0) physmap.state.reserved--;
  return true;
}

/** The guest's memory at one place goes to another. */
function moveOwn(physmap: Physmap, idx: number, gpfn: number): number {
  if (physmap.addressOf(idx) < 0) return -EINVAL;
  if (idx === gpfn) return 0;
  const replaced = physmap.addressOf(gpfn) >= 0;
  if (!physmap.moveContent(idx, gpfn)) return -EINVAL;
  if (replaced) physmap.state.reserved--;
  return 0;
}

function removeFromPhysmap({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.removeFromPhysmap, at);
  if (!arg) return -EFAULT;
  const error = notMapped(domain, arg.domid);
  if (error) return error;
  return release(physmapOf(domain), arg.gpfn, 1) ? 0 : -ENOENT;
}

function memoryMap(call: Call, at: number): number {
  return readMemoryMap(call, at, physmapOf(call.domain).state.memoryMap);
}

function setMemoryMap(call: Call, at: number): number {
  const map = givenMemoryMap(call, at);
  if (typeof map === 'number') return map;
  physmapOf(call.domain).state.memoryMap = map;
  return 0;
}

/** Nothing can be exchanged for nothing; frames cannot, for a translated guest has none of the machine's. */
function exchange({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.memoryExchange, at);
  if (!arg) return -EFAULT;
  const { in: given, nr_exchanged: done } = arg;
  const bad = badExchange(arg);
  if (bad) return bad;
  if (done === given.nr_extents) return 0;
  const error = notMine(domain, given.domid);
  if (error) return error;
  const first = guest.ulong(given.extent_start);
  if (first === null) return -EFAULT;
  return physmapOf(domain).addressOf(first) < 0 ? -EINVAL : -EOPNOTSUPP;
}

// Deviates: there is no such table, so its list is empty. Only the control domain could map what it tells of.
function machphysList({ guest }: Call, at: number): number {
  if (!guest.read(abi.machphysMfnList, at)) return -EFAULT;
  return guest.write(abi.machphysMfnList, at, { nr_extents: 0 }) ? 0 : -EFAULT;
}
