// Grant tables: entries of both versions, grant_table_op's sub-operations and their arguments.

import { xenStruct } from './layout.ts';

const header = 'grant_table.h';

/** xen/include/public/grant_table.h */
export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_unmap_grant_ref = 1;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_dump_table = 3;
export const GNTTABOP_transfer = 4;
export const GNTTABOP_copy = 5;
export const GNTTABOP_query_size = 6;
export const GNTTABOP_unmap_and_replace = 7;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_status_frames = 9;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_swap_grant_ref = 11;
export const GNTTABOP_cache_flush = 12;

export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

/** Flags of an entry: the type in the low bits. */
export const GTF_invalid = 0;
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_transitive = 3;
export const GTF_type_mask = 3;
export const GTF_readonly = 1 << 2;
export const GTF_reading = 1 << 3;
export const GTF_writing = 1 << 4;
export const GTF_sub_page = 1 << 8;

export const GNTMAP_device_map = 1 << 0;
export const GNTMAP_host_map = 1 << 1;
export const GNTMAP_readonly = 1 << 2;
export const GNTMAP_application_map = 1 << 3;
export const GNTMAP_contains_pte = 1 << 4;
/** From this bit on: what the guest wants in the bits of the entry that are its own. */
export const GNTMAP_guest_avail0 = 16;

export const GNTCOPY_source_gref = 1 << 0;
export const GNTCOPY_dest_gref = 1 << 1;

export const GNTTAB_NR_RESERVED_ENTRIES = 8;
export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;

export const GNTTAB_CACHE_SOURCE_GREF = 2 ** 31;

export const grantEntryV1 = xenStruct(
  'struct grant_entry_v1',
  { flags: 'u16', domid: 'u16', frame: 'u32' },
  { header, size: [8, 8] },
);
/** The full-page form; `page_off` and `length` of the sub-page form and `trans_domid`, `gref` lie in `pad0` and `frame`. */
export const grantEntryV2 = xenStruct(
  'union grant_entry_v2',
  { flags: 'u16', domid: 'u16', pad0: 'u32', frame: 'u64pair' },
  {
    header,
    size: [16, 16],
    members: {
      flags: 'full_page.hdr.flags',
      domid: 'full_page.hdr.domid',
      pad0: 'full_page.pad0',
      frame: 'full_page.frame',
    },
  },
);
export const gnttabMapGrantRef = xenStruct(
  'struct gnttab_map_grant_ref',
  {
    host_addr: 'u64pair',
    flags: 'u32',
    ref: 'u32',
    dom: 'u16',
    status: 's16',
    handle: 'u32',
    dev_bus_addr: 'u64pair',
  },
  { header, size: [32, 32] },
);
export const gnttabUnmapGrantRef = xenStruct(
  'struct gnttab_unmap_grant_ref',
  { host_addr: 'u64pair', dev_bus_addr: 'u64pair', handle: 'u32', status: 's16' },
  { header, size: [24, 24] },
);
export const gnttabSetupTable = xenStruct(
  'struct gnttab_setup_table',
  { dom: 'u16', nr_frames: 'u32', status: 's16', frame_list: 'handle' },
  { header, size: [24, 16] },
);
export const gnttabDumpTable = xenStruct(
  'struct gnttab_dump_table',
  { dom: 'u16', status: 's16' },
  { header, size: [4, 4] },
);
export const gnttabTransfer = xenStruct(
  'struct gnttab_transfer',
  { mfn: 'ulong', domid: 'u16', ref: 'u32', status: 's16' },
  { header, size: [24, 16] },
);
const gnttabCopyPtr = xenStruct(
  'struct gnttab_copy_ptr',
  { frame: 'ulong', domid: 'u16', offset: 'u16' },
  { header, size: [16, 8] },
);
/** `frame` stands for the union of a reference (its low 32 bits) and a frame number. */
export const gnttabCopy = xenStruct(
  'struct gnttab_copy',
  { source: gnttabCopyPtr, dest: gnttabCopyPtr, len: 'u16', flags: 'u16', status: 's16' },
  { header, size: [40, 24] },
);
export const gnttabQuerySize = xenStruct(
  'struct gnttab_query_size',
  { dom: 'u16', nr_frames: 'u32', max_nr_frames: 'u32', status: 's16' },
  { header, size: [16, 16] },
);
export const gnttabUnmapAndReplace = xenStruct(
  'struct gnttab_unmap_and_replace',
  { host_addr: 'u64pair', new_addr: 'u64pair', handle: 'u32', status: 's16' },
  { header, size: [24, 24] },
);
export const gnttabSetVersion = xenStruct(
  'struct gnttab_set_version',
  { version: 'u32' },
  { header, size: [4, 4] },
);
export const gnttabGetStatusFrames = xenStruct(
  'struct gnttab_get_status_frames',
  { nr_frames: 'u32', dom: 'u16', status: 's16', frame_list: 'handle' },
  { header, size: [16, 12] },
);
export const gnttabGetVersion = xenStruct(
  'struct gnttab_get_version',
  { dom: 'u16', pad: 'u16', version: 'u32' },
  { header, size: [8, 8] },
);
export const gnttabSwapGrantRef = xenStruct(
  'struct gnttab_swap_grant_ref',
  { ref_a: 'u32', ref_b: 'u32', status: 's16' },
  { header, size: [12, 12] },
);
export const gnttabCacheFlush = xenStruct(
  'struct gnttab_cache_flush',
  { dev_bus_addr: 'u64pair', offset: 'u16', length: 'u16', op: 'u32' },
  { header, size: [16, 16], members: { dev_bus_addr: 'a.dev_bus_addr' } },
);
