// xen_version: what a guest may ask about the hypervisor.

import { xenStruct } from './layout.ts';

/** xen/include/public/version.h */
export const XENVER_version = 0;
export const XENVER_extraversion = 1;
export const XENVER_compile_info = 2;
export const XENVER_capabilities = 3;
export const XENVER_changeset = 4;
export const XENVER_platform_parameters = 5;
export const XENVER_get_features = 6;
export const XENVER_pagesize = 7;
export const XENVER_guest_handle = 8;
export const XENVER_commandline = 9;
export const XENVER_build_id = 10;

/** Sizes of the texts. */
export const XEN_EXTRAVERSION_LEN = 16;
export const XEN_CAPABILITIES_INFO_LEN = 1024;
export const XEN_CHANGESET_INFO_LEN = 64;

export const compileInfo = xenStruct(
  'struct xen_compile_info',
  {
    compiler: 'u8[64]',
    compile_by: 'u8[16]',
    compile_domain: 'u8[32]',
    compile_date: 'u8[32]',
  },
  { header: 'version.h', size: [144, 144] },
);

export const platformParameters = xenStruct(
  'struct xen_platform_parameters',
  { virt_start: 'ulong' },
  { header: 'version.h', size: [8, 4] },
);

export const featureInfo = xenStruct(
  'struct xen_feature_info',
  { submap_idx: 'u32', submap: 'u32' },
  { header: 'version.h', size: [8, 8] },
);

/** Feature bits (features.h). */
export const XENFEAT_writable_page_tables = 0;
export const XENFEAT_auto_translated_physmap = 2;
export const XENFEAT_pae_pgdir_above_4gb = 4;
export const XENFEAT_mmu_pt_update_preserve_ad = 5;
export const XENFEAT_highmem_assist = 6;
export const XENFEAT_gnttab_map_avail_bits = 7;
export const XENFEAT_hvm_callback_vector = 8;
export const XENFEAT_hvm_safe_pvclock = 9;
export const XENFEAT_memory_op_vnode_supported = 13;
export const XENFEAT_not_direct_mapped = 16;
export const XENFEAT_direct_mapped = 17;
