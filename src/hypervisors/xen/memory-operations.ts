// Sub-operations of memory_op that are the same for PV and PVH guests: most are the toolstack's.

import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from './abi/errno.ts';
import * as abi from './abi/memory.ts';
import type { Call, SubOperation, SubOperations } from './define.ts';
import { isNumbered, names, notAnother, notMine } from './domid.ts';

/** CONFIG_MEM_PAGING, CONFIG_MEM_SHARING. */
const NOT_BUILT = [-ENOSYS, 'Xen has it only in builds that ask for it'] as const;

export const SHARED_MEMORY_OPERATIONS: SubOperations = {
  [abi.XENMEM_machphys_compat_mfn_list]: {
    name: 'XENMEM_machphys_compat_mfn_list',
    refuse: [-EOPNOTSUPP, 'for tools of the control domain'],
  },
  // Domains share no pages here.
  [abi.XENMEM_get_sharing_freed_pages]: {
    name: 'XENMEM_get_sharing_freed_pages',
    handle: () => 0,
  },
  [abi.XENMEM_get_sharing_shared_pages]: {
    name: 'XENMEM_get_sharing_shared_pages',
    handle: () => 0,
  },
  [abi.XENMEM_access_op]: {
    name: 'XENMEM_access_op',
    first: names(abi.memAccessOp, notAnother),
    refuse: [-EINVAL, 'the other domain has no second-level tables'],
  },
  [abi.XENMEM_paging_op]: { name: 'XENMEM_paging_op', refuse: NOT_BUILT },
  [abi.XENMEM_sharing_op]: { name: 'XENMEM_sharing_op', refuse: NOT_BUILT },
  [abi.XENMEM_claim_pages]: claimPages(),
  [abi.XENMEM_get_vnumainfo]: {
    name: 'XENMEM_get_vnumainfo',
    first({ domain, guest }, at) {
      const arg = guest.read(abi.vnumaTopologyInfo, at);
      if (!arg) return -EFAULT;
      return arg.pad === 0 ? notMine(domain, arg.domid) : -EINVAL;
    },
    refuse: [-EOPNOTSUPP, 'the domain has no virtual NUMA nodes'],
  },
  [abi.XENMEM_reserved_device_memory_map]: {
    name: 'XENMEM_reserved_device_memory_map',
    handle: reservedMap,
  },
};

/** Whom it is for is looked at last. */
function claimPages(): SubOperation {
  return {
    name: 'XENMEM_claim_pages',
    first({ domain, guest }, at) {
      const arg = guest.read(abi.memoryReservation, at);
      if (!arg) return -EFAULT;
      if (arg.extent_start !== 0 || arg.extent_order !== 0 || arg.mem_flags !== 0) return -EINVAL;
      return isNumbered(domain, arg.domid) ? 0 : -EINVAL;
    },
    refuse: [-EPERM, 'the toolstack claims memory'],
  };
}

/** The largest extent of a guest without devices: 2 MiB (CONFIG_DOMU_MAX_ORDER). */
export const EXTENT_ORDER_MAX = 9;

interface Reservation {
  readonly nr_extents: number;
  readonly extent_order: number;
  readonly domid: number;
}
interface Exchange {
  readonly in: Reservation;
  readonly out: Reservation;
  readonly nr_exchanged: number;
}

/** XENMEM_exchange, whatever the frames are: as much is wanted as is given, for one domain. 0 or an error. */
export function badExchange({ in: given, out: wanted, nr_exchanged: done }: Exchange): number {
  if (Math.max(given.extent_order, wanted.extent_order) > EXTENT_ORDER_MAX) return -EPERM;
  const same =
    given.nr_extents * 2 ** given.extent_order === wanted.nr_extents * 2 ** wanted.extent_order;
  return done > given.nr_extents || given.domid !== wanted.domid || !same ? -EINVAL : 0;
}

/** No device reserves memory. */
function reservedMap({ guest }: Call, at: number): number {
  const arg = guest.read(abi.reservedDeviceMemoryMap, at);
  if (!arg) return -EFAULT;
  if (arg.flags & ~abi.XENMEM_RDM_ALL) return -EINVAL;
  return guest.write(abi.reservedDeviceMemoryMap, at, { nr_entries: 0 }) ? 0 : -EFAULT;
}

const E820_ENTRY_BYTES = 20;
/** E820MAX of Xen 4.17. */
const E820_ENTRIES_MAX = 1024;

/** XENMEM_memory_map: as many entries as there are and the guest has room for. */
export function readMemoryMap({ guest }: Call, at: number, map: readonly number[]): number {
  const arg = guest.read(abi.memoryMapArgument, at);
  if (!arg) return -EFAULT;
  const entries = Math.min(arg.nr_entries, map.length / E820_ENTRY_BYTES);
  const bytes = Uint8Array.from(map.slice(0, entries * E820_ENTRY_BYTES));
  if (!guest.put(arg.buffer, bytes)) return -EFAULT;
  return guest.write(abi.memoryMapArgument, at, { nr_entries: entries }) ? 0 : -EFAULT;
}

/** XENMEM_set_memory_map: a domain may set its own. The bytes, or an error. */
export function givenMemoryMap({ domain, guest }: Call, at: number): number[] | number {
  const arg = guest.read(abi.foreignMemoryMap, at);
  if (!arg) return -EFAULT;
  const { nr_entries, buffer } = arg.map;
  if (nr_entries > E820_ENTRIES_MAX) return -EINVAL;
  const error = notMine(domain, arg.domid);
  if (error) return error;
  const bytes = guest.bytes(buffer, nr_entries * E820_ENTRY_BYTES);
  return bytes ? [...bytes] : -EFAULT;
}

/** A map in the form of the BIOS call that it stands for. */
export function e820(entries: readonly { start: number; size: number; type: number }[]): number[] {
  const map = new Uint8Array(entries.length * E820_ENTRY_BYTES);
  const view = new DataView(map.buffer);
  entries.forEach(({ start, size, type }, n) => {
    const words = [start, start / 2 ** 32, size, size / 2 ** 32, type];
    words.forEach((word, k) => {
      view.setUint32(n * E820_ENTRY_BYTES + k * 4, Math.floor(word) >>> 0, true);
    });
  });
  return [...map];
}
