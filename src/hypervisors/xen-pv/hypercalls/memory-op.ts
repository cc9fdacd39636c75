// memory_op: what memory a PV guest has, and giving pages back or taking them again.

import { EFAULT, EINVAL, EPERM, ESRCH } from '../../xen/abi/errno.ts';
import * as abi from '../../xen/abi/memory.ts';
import { DOMID_SELF } from '../../xen/abi/xen.ts';
import { type Call, type CallResult, defineHypercall } from '../../xen/define.ts';
import { pvOf } from '../pv-domain.ts';
import { freePage, takePage } from '../reservation.ts';
import {
  MACH2PHYS_VIRT_END,
  MACH2PHYS_VIRT_END_COMPAT,
  MACH2PHYS_VIRT_START,
  MACH2PHYS_VIRT_START_PAE,
} from '../xen-space.ts';

const E820_RAM = 1;
const E820_ENTRY_BYTES = 20;
const EXTENTS_PER_TURN = 256;
const NO_FRAME_LO = 0xffffffff;

export const memoryOp = defineHypercall({
  number: 12,
  name: 'memory_op',
  ref: 'memory.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 'u32', arg: 'gva' },
  subMask: abi.MEMOP_CMD_MASK,
  subOperations: {
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
    [abi.XENMEM_machphys_mfn_list]: {
      name: 'XENMEM_machphys_mfn_list',
      notModelled: 'the list of the frames of the machine-to-physical table, which tools map',
    },
    [abi.XENMEM_add_to_physmap]: {
      name: 'XENMEM_add_to_physmap',
      refuse: [-EINVAL, 'a PV guest keeps its physical map itself'],
    },
    [abi.XENMEM_memory_map]: { name: 'XENMEM_memory_map', handle: memoryMap },
    [abi.XENMEM_machine_memory_map]: {
      name: 'XENMEM_machine_memory_map',
      refuse: [-EPERM, 'the memory of the machine is for the control domain'],
    },
    [abi.XENMEM_exchange]: {
      name: 'XENMEM_exchange',
      notModelled: 'pages for others at places that devices can reach',
    },
    [abi.XENMEM_machphys_mapping]: { name: 'XENMEM_machphys_mapping', handle: machphysMapping },
    [abi.XENMEM_set_memory_map]: {
      name: 'XENMEM_set_memory_map',
      refuse: [-EPERM, 'the toolstack sets it'],
    },
  },
});

/** One piece of RAM, as xl gives a guest without devices. */
function memoryMap(call: Call, at: number): number {
  const { guest, wide } = call;
  const room = guest.u32(at);
  const buffer = guest.ulong(at + (wide ? 8 : 4));
  if (room === null || buffer === null) return -EFAULT;
  if (room < 1) return -EINVAL;
  const entry = new Uint8Array(E820_ENTRY_BYTES);
  const view = new DataView(entry.buffer);
  const bytes = pvOf(call).state.maxPages * 4096;
  view.setUint32(8, bytes >>> 0, true);
  view.setUint32(12, Math.floor(bytes / 4294967296), true);
  view.setUint32(16, E820_RAM, true);
  const place = guestPointer(call, at + (wide ? 8 : 4));
  if (place === null || !guest.put(place, entry) || !guest.putU32(at, 1)) return -EFAULT;
  return 0;
}

/** A pointer in memory: signed, as the MMU takes it. */
function guestPointer({ guest, wide }: Call, at: number): number | null {
  const bytes = guest.bytes(at, wide ? 8 : 4);
  if (!bytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const low = view.getUint32(0, true);
  return wide ? view.getInt32(4, true) * 4294967296 + low : low;
}

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

function ofDomain({ domain, guest }: Call, at: number, value: number): number {
  const arg = guest.read(abi.memoryDomain, at);
  if (!arg) return -EFAULT;
  if (arg.domid === DOMID_SELF || arg.domid === domain.id) return value;
  return arg.domid === 0 ? -EPERM : -ESRCH;
}

/** Answers how many extents are done; the upper bits of the command say where a continued call goes on. */
function changeReservation(
  call: Call,
  at: number,
  cmd: number,
  kind: 'increase' | 'decrease' | 'populate',
): CallResult {
  const start = cmd >>> abi.MEMOP_EXTENT_SHIFT;
  const arg = call.guest.read(abi.memoryReservation, at);
  if (!arg) return start === 0 ? -EFAULT : start;
  if (arg.domid !== DOMID_SELF && arg.domid !== call.domain.id) return -ESRCH;
  // An unprivileged guest gets no pages that lie together.
  if (arg.extent_order !== 0 || arg.nr_extents > 2 ** 26 - 1) return start;
  const pv = pvOf(call);
  const word = call.wide ? 8 : 4;
  for (let n = start; n < arg.nr_extents; n++) {
    if (n - start === EXTENTS_PER_TURN)
      return call.continueLater({
        cmd: ((n << abi.MEMOP_EXTENT_SHIFT) | (cmd & abi.MEMOP_CMD_MASK)) >>> 0,
      });
    const place = arg.extent_start + n * word;
    if (kind === 'decrease') {
      const mfn = call.guest.ulong(place);
      if (mfn === null || !freePage(pv, mfn)) return n;
      continue;
    }
    const pfn = kind === 'populate' ? call.guest.ulong(place) : NO_FRAME_LO;
    if (pfn === null) return n;
    const mfn = takePage(pv, kind === 'populate' ? pfn : null);
    if (mfn < 0) return n;
    const wants = kind === 'populate' || arg.extent_start !== 0;
    if (wants && !call.guest.putUlong(place, mfn)) return n;
  }
  return arg.nr_extents;
}
