// memory_op of a PVH guest: its memory map, its reservation, and frames of Xen's own that it puts into its memory.

import { EFAULT, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/memory.ts';
import { DOMID_CONTROL, DOMID_SELF } from '../../xen/abi/xen.ts';
import { type Call, type CallResult, defineHypercall } from '../../xen/define.ts';
import type { XenDomain } from '../../xen/domain.ts';
import { grantFrame } from '../../xen/grant-frames.ts';
import { guestMemoryMap } from '../memory-map.ts';
import type { Physmap, PvhDomain } from '../physmap.ts';

const E820_BYTES = 20;
/** Extents done before events are looked at. */
const EXTENTS_PER_TURN = 256;
/** Orders that a guest may ask for at a time: CONFIG_DOMU_MAX_ORDER of Xen. */
const ORDER_MAX = 9;

export const memoryOp = defineHypercall({
  number: 12,
  name: 'memory_op',
  ref: 'memory.h',
  callers: ['hvm'],
  args: { cmd: 'u32', arg: 'gva' },
  subMask: abi.MEMOP_CMD_MASK,
  subOperations: {
    [abi.XENMEM_increase_reservation]: {
      name: 'XENMEM_increase_reservation',
      handle: (call, at, args) => extents(call, at, args, () => true),
    },
    [abi.XENMEM_decrease_reservation]: {
      name: 'XENMEM_decrease_reservation',
      handle: (call, at, args) => extents(call, at, args, release),
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
      refuse: [-EPERM, 'the memory map of the machine is for the control domain'],
    },
    [abi.XENMEM_set_memory_map]: {
      name: 'XENMEM_set_memory_map',
      refuse: [-EPERM, 'the memory map of a domain is set by its toolstack'],
    },
    [abi.XENMEM_exchange]: {
      name: 'XENMEM_exchange',
      refuse: [-EOPNOTSUPP, 'a translated guest has no machine frames to exchange'],
    },
    [abi.XENMEM_machphys_mapping]: {
      name: 'XENMEM_machphys_mapping',
      refuse: [-ENOSYS, 'a translated guest has no machine-to-physical table'],
    },
    [abi.XENMEM_machphys_mfn_list]: {
      name: 'XENMEM_machphys_mfn_list',
      refuse: [-EPERM, 'the machine-to-physical table is for the control domain'],
    },
  },
});

const physmapOf = (domain: XenDomain): Physmap => (domain as PvhDomain).physmap;

function notMine(domain: XenDomain, domid: number): number {
  if (domid === DOMID_SELF || domid === domain.id) return 0;
  return domid === DOMID_CONTROL ? -EPERM : -ESRCH;
}

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
  if (from > arg.nr_extents || arg.extent_order > ORDER_MAX) return from;
  const error = notMine(domain, arg.domid);
  if (error) return error;
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

/** The hypervisor's own frames are not the guest's to give back. */
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

function addToPhysmap(call: Call, at: number): number {
  const arg = call.guest.read(abi.addToPhysmap, at);
  if (!arg) return -EFAULT;
  const error = notMine(call.domain, arg.domid);
  if (error) return error;
  return addOne(call.domain, arg.space, arg.idx, arg.gpfn);
}

function addBatch(call: Call, at: number, args: Readonly<Record<string, number>>): CallResult {
  const { domain, guest, wide } = call;
  const from = args.cmd! >>> abi.MEMOP_EXTENT_SHIFT;
  const arg = guest.read(abi.addToPhysmapBatch, at);
  if (!arg) return -EFAULT;
  const error = notMine(domain, arg.domid);
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
    default:
      return -ENOSYS;
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
  const error = notMine(domain, arg.domid);
  if (error) return error;
  return release(physmapOf(domain), arg.gpfn, 1) ? 0 : -ENOENT;
}

function memoryMap({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.memoryMapArgument, at);
  if (!arg) return -EFAULT;
  const entries = guestMemoryMap(domain.platform).slice(0, arg.nr_entries);
  const bytes = new Uint8Array(entries.length * E820_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach(({ start, size, type }, n) => {
    const e = n * E820_BYTES;
    view.setUint32(e, start >>> 0, true);
    view.setUint32(e + 4, Math.floor(start / 2 ** 32), true);
    view.setUint32(e + 8, size >>> 0, true);
    view.setUint32(e + 12, Math.floor(size / 2 ** 32), true);
    view.setUint32(e + 16, type, true);
  });
  if (!guest.put(arg.buffer, bytes)) return -EFAULT;
  return guest.write(abi.memoryMapArgument, at, { nr_entries: entries.length }) ? 0 : -EFAULT;
}
