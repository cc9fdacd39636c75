// memory_op: what memory a PV guest has, and giving pages back or taking them again.

import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/memory.ts';
import { type Call, defineHypercall } from '../../xen/define.ts';
import { names, notAnother, notMine, notThere } from '../../xen/domid.ts';
import { SHARED_MEMORY_OPERATIONS } from '../../xen/memory-operations.ts';
import { changeReservation } from '../change-reservation.ts';
import { exchange } from '../memory-exchange.ts';
import { memoryMap, setMemoryMap } from '../memory-map.ts';
import { pvOf } from '../pv-domain.ts';
import {
  MACH2PHYS_VIRT_END,
  MACH2PHYS_VIRT_END_COMPAT,
  MACH2PHYS_VIRT_START,
  MACH2PHYS_VIRT_START_PAE,
} from '../xen-space.ts';

const TRANSLATED = [-EACCES, 'a PV guest keeps its physical map itself'] as const;
const POD = [-EINVAL, 'only HVM domains are populated on demand'] as const;
const TOOLS = 'for tools of the control domain';

export const memoryOp = defineHypercall({
  number: 12,
  name: 'memory_op',
  ref: 'memory.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 'u32', arg: 'gva' },
  subMask: abi.MEMOP_CMD_MASK,
  subOperations: {
    ...SHARED_MEMORY_OPERATIONS,
    [abi.XENMEM_increase_reservation]: {
      name: 'XENMEM_increase_reservation',
      handle: (call, at, args) => changeReservation(call, at, args.cmd!, 'increase'),
    },
    [abi.XENMEM_decrease_reservation]: {
      name: 'XENMEM_decrease_reservation',
      handle: (call, at, args) => changeReservation(call, at, args.cmd!, 'decrease'),
    },
    [abi.XENMEM_populate_physmap]: {
      name: 'XENMEM_populate_physmap',
      handle: (call, at, args) => changeReservation(call, at, args.cmd!, 'populate'),
    },
    [abi.XENMEM_maximum_ram_page]: {
      name: 'XENMEM_maximum_ram_page',
      handle: (call) => pvOf(call).frames.count - 1,
    },
    [abi.XENMEM_current_reservation]: {
      name: 'XENMEM_current_reservation',
      handle: (call, at) => ofDomain(call, at, pvOf(call).state.pages),
    },
    [abi.XENMEM_maximum_reservation]: {
      name: 'XENMEM_maximum_reservation',
      handle: (call, at) => ofDomain(call, at, pvOf(call).state.maxPages),
    },
    [abi.XENMEM_maximum_gpfn]: {
      name: 'XENMEM_maximum_gpfn',
      handle: (call, at) => ofDomain(call, at, pvOf(call).state.maxPages - 1),
    },
    [abi.XENMEM_machphys_mfn_list]: { name: 'XENMEM_machphys_mfn_list', handle: machphysList },
    [abi.XENMEM_add_to_physmap]: {
      name: 'XENMEM_add_to_physmap',
      first({ domain, guest }, at) {
        const arg = guest.read(abi.addToPhysmap, at);
        if (!arg) return -EFAULT;
        return arg.space === abi.XENMAPSPACE_gmfn_foreign ? -ENOSYS : notThere(domain, arg.domid);
      },
      refuse: TRANSLATED,
    },
    [abi.XENMEM_add_to_physmap_batch]: {
      name: 'XENMEM_add_to_physmap_batch',
      first({ domain, guest }, at) {
        const arg = guest.read(abi.addToPhysmapBatch, at);
        if (!arg) return -EFAULT;
        const range = arg.space === abi.XENMAPSPACE_gmfn_range;
        return range ? -EOPNOTSUPP : notThere(domain, arg.domid);
      },
      refuse: TRANSLATED,
    },
    [abi.XENMEM_remove_from_physmap]: {
      name: 'XENMEM_remove_from_physmap',
      first: names(abi.removeFromPhysmap, notThere),
      refuse: TRANSLATED,
    },
    [abi.XENMEM_memory_map]: { name: 'XENMEM_memory_map', handle: memoryMap },
    [abi.XENMEM_machine_memory_map]: {
      name: 'XENMEM_machine_memory_map',
      refuse: [-EPERM, 'the memory of the machine is for the control domain'],
    },
    [abi.XENMEM_exchange]: { name: 'XENMEM_exchange', handle: exchange },
    [abi.XENMEM_machphys_mapping]: { name: 'XENMEM_machphys_mapping', handle: machphysMapping },
    [abi.XENMEM_set_memory_map]: { name: 'XENMEM_set_memory_map', handle: setMemoryMap },
    [abi.XENMEM_set_pod_target]: {
      name: 'XENMEM_set_pod_target',
      first: names(abi.podTarget, notThere),
      refuse: POD,
    },
    [abi.XENMEM_get_pod_target]: {
      name: 'XENMEM_get_pod_target',
      first: names(abi.podTarget, notThere),
      refuse: POD,
    },
    [abi.XENMEM_acquire_resource]: {
      name: 'XENMEM_acquire_resource',
      first({ domain, guest }, at) {
        const arg = guest.read(abi.memAcquireResource, at);
        if (!arg) return -EFAULT;
        return arg.pad === 0 ? notAnother(domain, arg.domid) : -EINVAL;
      },
      refuse: [-EPERM, TOOLS],
    },
  },
});

function machphysMapping(call: Call, at: number): number {
  const { guest, wide } = call;
  const from = wide ? MACH2PHYS_VIRT_START : MACH2PHYS_VIRT_START_PAE;
  const end = wide ? MACH2PHYS_VIRT_END : MACH2PHYS_VIRT_END_COMPAT;
  const done = guest.write(abi.machphysMapping, at, {
    v_start: from,
    v_end: end,
    max_mfn: Math.floor((end - from) / (wide ? 8 : 4)) - 1,
  });
  return done ? 0 : -EFAULT;
}

/** The frame that each 2 MiB of the table begin with. */
// Deviates: those behind it lie anywhere. Only the control domain could map them.
function machphysList(call: Call, at: number): number {
  const { guest, wide } = call;
  const arg = guest.read(abi.machphysMfnList, at);
  if (!arg) return -EFAULT;
  const frames = pvOf(call).space.m2pExtents().slice(0, arg.max_extents);
  for (const [n, mfn] of frames.entries())
    if (!guest.putUlong(arg.extent_start + n * (wide ? 8 : 4), mfn)) return -EFAULT;
  return guest.write(abi.machphysMfnList, at, { nr_extents: frames.length }) ? 0 : -EFAULT;
}

function ofDomain({ domain, guest }: Call, at: number, value: number): number {
  const arg = guest.read(abi.memoryDomain, at);
  if (!arg) return -EFAULT;
  return notMine(domain, arg.domid) || value;
}
