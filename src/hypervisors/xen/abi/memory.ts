// memory_op: its sub-operations and their arguments.

import { xenStruct } from './layout.ts';

const header = 'memory.h';

/** xen/include/public/memory.h */
export const XENMEM_increase_reservation = 0;
export const XENMEM_decrease_reservation = 1;
export const XENMEM_maximum_ram_page = 2;
export const XENMEM_current_reservation = 3;
export const XENMEM_maximum_reservation = 4;
export const XENMEM_machphys_mfn_list = 5;
export const XENMEM_populate_physmap = 6;
export const XENMEM_add_to_physmap = 7;
export const XENMEM_memory_map = 9;
export const XENMEM_machine_memory_map = 10;
export const XENMEM_exchange = 11;
export const XENMEM_machphys_mapping = 12;
export const XENMEM_set_memory_map = 13;
export const XENMEM_maximum_gpfn = 14;
export const XENMEM_remove_from_physmap = 15;
export const XENMEM_set_pod_target = 16;
export const XENMEM_get_pod_target = 17;
export const XENMEM_get_sharing_freed_pages = 18;
export const XENMEM_get_sharing_shared_pages = 19;
export const XENMEM_paging_op = 20;
export const XENMEM_access_op = 21;
export const XENMEM_sharing_op = 22;
export const XENMEM_add_to_physmap_batch = 23;
export const XENMEM_claim_pages = 24;
export const XENMEM_machphys_compat_mfn_list = 25;
export const XENMEM_get_vnumainfo = 26;
export const XENMEM_reserved_device_memory_map = 27;
export const XENMEM_acquire_resource = 28;

export const XENMEM_RDM_ALL = 1;

export const XENMAPSPACE_shared_info = 0;
export const XENMAPSPACE_grant_table = 1;
export const XENMAPSPACE_gmfn = 2;
export const XENMAPSPACE_gmfn_range = 3;
export const XENMAPSPACE_gmfn_foreign = 4;
export const XENMAPSPACE_dev_mmio = 5;
export const XENMAPIDX_grant_table_status = 0x8000_0000;

/** The low bits of the command are the sub-operation; the rest is how far a continued call has come (memory.h of Xen's own). */
export const MEMOP_EXTENT_SHIFT = 6;
export const MEMOP_CMD_MASK = (1 << MEMOP_EXTENT_SHIFT) - 1;

export const memoryReservation = xenStruct(
  'struct xen_memory_reservation',
  {
    extent_start: 'handle',
    nr_extents: 'ulong',
    extent_order: 'u32',
    mem_flags: 'u32',
    domid: 'u16',
  },
  { header, size: [32, 20] },
);
export const memoryExchange = xenStruct(
  'struct xen_memory_exchange',
  { in: memoryReservation, out: memoryReservation, nr_exchanged: 'ulong' },
  { header, size: [72, 44] },
);
export const memoryDomain = xenStruct(
  'struct xen_memory_domain',
  { domid: 'u16' },
  { header, size: [2, 2] },
);
export const machphysMapping = xenStruct(
  'struct xen_machphys_mapping',
  { v_start: 'handle', v_end: 'handle', max_mfn: 'ulong' },
  { header, size: [24, 12] },
);
export const addToPhysmap = xenStruct(
  'struct xen_add_to_physmap',
  { domid: 'u16', size: 'u16', space: 'u32', idx: 'ulong', gpfn: 'ulong' },
  { header, size: [24, 16] },
);
export const addToPhysmapBatch = xenStruct(
  'struct xen_add_to_physmap_batch',
  {
    domid: 'u16',
    space: 'u16',
    size: 'u16',
    foreign_domid: 'u16',
    idxs: 'handle',
    gpfns: 'handle',
    errs: 'handle',
  },
  { header, size: [32, 20], members: { foreign_domid: 'u.foreign_domid' } },
);
export const removeFromPhysmap = xenStruct(
  'struct xen_remove_from_physmap',
  { domid: 'u16', gpfn: 'ulong' },
  { header, size: [16, 8] },
);
export const memoryMapArgument = xenStruct(
  'struct xen_memory_map',
  { nr_entries: 'u32', buffer: 'handle' },
  { header, size: [16, 8] },
);
export const foreignMemoryMap = xenStruct(
  'struct xen_foreign_memory_map',
  { domid: 'u16', map: memoryMapArgument },
  { header, size: [24, 12] },
);
export const machphysMfnList = xenStruct(
  'struct xen_machphys_mfn_list',
  { max_extents: 'u32', extent_start: 'handle', nr_extents: 'u32' },
  { header, size: [24, 12] },
);
export const podTarget = xenStruct(
  'struct xen_pod_target',
  {
    target_pages: 'u64pair',
    tot_pages: 'u64pair',
    pod_cache_pages: 'u64pair',
    pod_entries: 'u64pair',
    domid: 'u16',
  },
  { header, size: [40, 36] },
);
export const memAccessOp = xenStruct(
  'struct xen_mem_access_op',
  {
    op: 'u8',
    access: 'u8',
    domid: 'u16',
    nr: 'u32',
    pfn: 'u64pair',
    pfn_list: 'handle',
    access_list: 'handle',
  },
  { header, size: [32, 24] },
);
export const vnumaTopologyInfo = xenStruct(
  'struct xen_vnuma_topology_info',
  {
    domid: 'u16',
    pad: 'u16',
    nr_vnodes: 'u32',
    nr_vcpus: 'u32',
    nr_vmemranges: 'u32',
    vdistance: 'u64pair',
    vcpu_to_vnode: 'u64pair',
    vmemrange: 'u64pair',
  },
  { header, size: [40, 40] },
);
export const reservedDeviceMemoryMap = xenStruct(
  'struct xen_reserved_device_memory_map',
  { flags: 'u32', nr_entries: 'u32', buffer: 'handle', seg: 'u16', bus: 'u8', devfn: 'u8' },
  {
    header,
    size: [24, 16],
    members: { seg: 'dev.pci.seg', bus: 'dev.pci.bus', devfn: 'dev.pci.devfn' },
  },
);
export const memAcquireResource = xenStruct(
  'struct xen_mem_acquire_resource',
  {
    domid: 'u16',
    type: 'u16',
    id: 'u32',
    nr_frames: 'u32',
    pad: 'u32',
    frame: 'u64pair',
    frame_list: 'handle',
  },
  { header, size: [32, 28] },
);
