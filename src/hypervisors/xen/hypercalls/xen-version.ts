// xen_version: what the hypervisor is, and which of its features a guest has.

import { EFAULT, EINVAL, EPERM } from '../abi/errno.ts';
import * as abi from '../abi/version.ts';
import {
  compileInfo,
  featureInfo,
  platformParameters,
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_EXTRAVERSION_LEN,
  XENFEAT_auto_translated_physmap,
  XENFEAT_direct_mapped,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_highmem_assist,
  XENFEAT_hvm_callback_vector,
  XENFEAT_hvm_safe_pvclock,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_not_direct_mapped,
  XENFEAT_pae_pgdir_above_4gb,
  XENFEAT_writable_page_tables,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
} from '../abi/version.ts';
import { type Call, type Caller, defineHypercall } from '../define.ts';

export const XEN_VERSION = { major: 4, minor: 17 } as const;
/** HYPERVISOR_VIRT_START of 64-bit PV guests (arch-x86/xen-x86_64.h), as a signed number; of 32-bit ones (xen-x86_32.h). */
const VIRT_START = { wide: -0x8000_0000_0000, narrow: 0xf580_0000 } as const;
const PAGE_BYTES = 4096;
/** What others than the control domain read (Xen 4.17, CONFIG_XSM's xen_deny). */
const DENIED = '<denied>';

const bits = (...numbers: readonly number[]): number =>
  numbers.reduce((sum, n) => sum | (1 << n), 0);

/** What Xen 4.17 offers an unprivileged guest (common/kernel.c). */
const PV_FEATURES = bits(
  XENFEAT_mmu_pt_update_preserve_ad,
  XENFEAT_highmem_assist,
  XENFEAT_gnttab_map_avail_bits,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_direct_mapped,
);
const FEATURES: Readonly<Record<Caller, number>> = {
  pv64: PV_FEATURES,
  pv32: PV_FEATURES,
  hvm: bits(
    XENFEAT_writable_page_tables,
    XENFEAT_auto_translated_physmap,
    XENFEAT_hvm_callback_vector,
    XENFEAT_hvm_safe_pvclock,
    XENFEAT_memory_op_vnode_supported,
    XENFEAT_not_direct_mapped,
  ),
};

export const xenVersion = defineHypercall({
  number: 17,
  name: 'xen_version',
  ref: 'version.h',
  inPlace: true,
  callers: ['pv64', 'pv32', 'hvm'],
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    [XENVER_version]: {
      name: 'XENVER_version',
      handle: () => (XEN_VERSION.major << 16) | XEN_VERSION.minor,
    },
    [XENVER_extraversion]: {
      name: 'XENVER_extraversion',
      handle: (call, at) => putText(call, at, '.5-pvops', XEN_EXTRAVERSION_LEN),
    },
    [XENVER_compile_info]: {
      name: 'XENVER_compile_info',
      handle: ({ guest }, at) =>
        guest.write(compileInfo, at, {
          compiler: text('none: pvops', 64),
          compile_by: text('pvops', 16),
          compile_domain: text('localdomain', 32),
          compile_date: text('', 32),
        })
          ? 0
          : -EFAULT,
    },
    [XENVER_capabilities]: {
      name: 'XENVER_capabilities',
      handle: (call, at) =>
        putText(
          call,
          at,
          'xen-3.0-x86_64 xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ',
          XEN_CAPABILITIES_INFO_LEN,
        ),
    },
    [XENVER_changeset]: {
      name: 'XENVER_changeset',
      handle: (call, at) => putText(call, at, '', XEN_CHANGESET_INFO_LEN),
    },
    [XENVER_platform_parameters]: {
      name: 'XENVER_platform_parameters',
      handle: ({ guest, wide, caller }, at) => {
        // 32-bit code of an HVM domain has no part of Xen's above it.
        const virt_start = wide || caller === 'hvm' ? 0 : VIRT_START.narrow;
        if (!guest.write(platformParameters, at, { virt_start })) return -EFAULT;
        return wide && !guest.putUlong(at, VIRT_START.wide) ? -EFAULT : 0;
      },
    },
    [XENVER_get_features]: {
      name: 'XENVER_get_features',
      handle: ({ domain, guest, caller }, at) => {
        const info = guest.read(featureInfo, at);
        if (!info) return -EFAULT;
        if (info.submap_idx !== 0) return -EINVAL;
        return guest.write(featureInfo, at, { submap: featuresLeft(domain, caller) }) ? 0 : -EFAULT;
      },
    },
    [XENVER_pagesize]: { name: 'XENVER_pagesize', handle: () => PAGE_BYTES },
    [XENVER_guest_handle]: {
      name: 'XENVER_guest_handle',
      handle: ({ guest }, at) => (guest.put(at, new Uint8Array(16)) ? 0 : -EFAULT),
    },
    [XENVER_commandline]: {
      name: 'XENVER_commandline',
      // It is for the control domain.
      handle: (call, at) => putText(call, at, DENIED, DENIED.length + 1),
    },
    [XENVER_build_id]: {
      name: 'XENVER_build_id',
      refuse: [-EPERM, 'the build id of the hypervisor is for the control domain'],
    },
  },
});

/** Feature bits by name: what a run may be without. */
export const XEN_FEATURES: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(abi).flatMap(([name, n]) =>
    name.startsWith('XENFEAT_') && typeof n === 'number' ? [[name, n] as const] : [],
  ),
);

function featuresLeft({ platform, guest }: Call['domain'], caller: Caller): number {
  const { lacks } = platform;
  const above4gb = guest.tablesAbove4gb?.() ?? false;
  const has = FEATURES[caller] | (above4gb ? bits(XENFEAT_pae_pgdir_above_4gb) : 0);
  if (!lacks) return has;
  const lacking = Object.entries(XEN_FEATURES).filter(([name]) => lacks(name));
  return lacking.reduce((left, [, n]) => left & ~(1 << n), has);
}

function text(value: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let n = 0; n < Math.min(value.length, length - 1); n++) bytes[n] = value.charCodeAt(n);
  return bytes;
}

function putText({ guest }: Call, at: number, value: string, length: number): number {
  return guest.put(at, text(value, length)) ? 0 : -EFAULT;
}
