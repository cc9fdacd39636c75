// Calls of the control domain's tools: the versions of their structures, and what guests without rights are told by.

import { xenStruct } from './layout.ts';

/** xen/include/public/platform.h, sysctl.h, domctl.h */
export const XENPF_INTERFACE_VERSION = 0x03000001;
export const XEN_SYSCTL_INTERFACE_VERSION = 0x15;
export const XEN_DOMCTL_INTERFACE_VERSION = 0x15;
export const XEN_DOMCTL_shadow_op = 10;

/** xen/include/public/xenoprof.h */
export const XENOPROF_init = 0;
export const XENOPROF_enable_virq = 8;
export const XENOPROF_disable_virq = 11;
export const XENOPROF_get_buffer = 14;
export const XENOPROF_last_op = 17;

export const xenPlatformOp = xenStruct(
  'struct xen_platform_op',
  { cmd: 'u32', interface_version: 'u32', u: 'u8[128]' },
  { header: 'platform.h', size: [136, 136] },
);
export const xenSysctl = xenStruct(
  'struct xen_sysctl',
  { cmd: 'u32', interface_version: 'u32', u: 'u8[128]' },
  { header: 'sysctl.h', size: [136, 136] },
);
export const xenDomctl = xenStruct(
  'struct xen_domctl',
  { cmd: 'u32', interface_version: 'u32', domain: 'u16', _pad: 'u16[3]', u: 'u8[128]' },
  { header: 'domctl.h', size: [144, 144] },
);
export const xenDmOpBuf = xenStruct(
  'struct xen_dm_op_buf',
  { h: 'handle', size: 'ulong' },
  { header: 'hvm/dm_op.h', size: [16, 8] },
);
