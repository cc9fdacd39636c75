// Xen's core numbers and shared structures: calls, domains, virtual IRQs, vcpu_info, shared_info, time.

import { xenStruct } from './layout.ts';

/** Domain ids with a meaning of their own (xen/include/public/xen.h). */
export const DOMID_SELF = 0x7ff0;
export const DOMID_FIRST_RESERVED = 0x7ff0;
/** The control domain: here the host, which runs the back ends, the console and the store. */
export const DOMID_CONTROL = 0;

/** Virtual IRQs (xen.h). Those below are per vCPU; the others belong to the domain. */
export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_TBUF = 4;
export const VIRQ_DEBUGGER = 6;
export const VIRQ_XENOPROF = 7;
export const VIRQ_CON_RING = 8;
export const VIRQ_PCPU_STATE = 9;
export const VIRQ_MEM_EVENT = 10;
export const VIRQ_ARGO = 11;
export const VIRQ_ENOMEM = 12;
export const VIRQ_XENPMU = 13;
export const NR_VIRQS = 24;
/** Physical interrupts of a guest: those of the machine's I/O APIC, and as many more as Xen gives (extra_guest_irqs, 32). */
export const NR_GSIS = 24;
export const NR_PIRQS = NR_GSIS + 32;

/** vm_assist; what it has for PV guests alone is in xen-pv/abi.ts. */
export const VMASST_CMD_enable = 0;
export const VMASST_CMD_disable = 1;
export const VMASST_TYPE_runstate_update_flag = 5;

/** vCPUs that have their vcpu_info in shared_info (xen.h, arch-x86/xen.h). */
export const XEN_LEGACY_MAX_VCPUS = 32;
/** Event channels of the 2-level ABI: words of a word of bits (event_channel.h). */
export const EVTCHN_2L_NR_CHANNELS = { wide: 4096, narrow: 1024 } as const;

export const vcpuTimeInfo = xenStruct(
  'struct vcpu_time_info',
  {
    version: 'u32',
    pad0: 'u32',
    tsc_timestamp: 'u64pair',
    system_time: 'u64',
    tsc_to_system_mul: 'u32',
    tsc_shift: 's8',
    flags: 'u8',
    pad1: 'u8[2]',
  },
  { header: 'xen.h', size: [32, 32] },
);

export const archVcpuInfo = xenStruct(
  'struct arch_vcpu_info',
  { cr2: 'ulong', pad: 'ulong' },
  { header: 'xen.h', size: [16, 24], narrow: { cr2: 'ulong', pad: 'ulong[5]' } },
);

/** `evtchn_upcall_mask` is the byte beside `evtchn_upcall_pending`, and stays there: kernels compare both as one word. */
export const vcpuInfo = xenStruct(
  'struct vcpu_info',
  {
    evtchn_upcall_pending: 'u8',
    evtchn_upcall_mask: 'u8',
    evtchn_pending_sel: 'ulong',
    arch: archVcpuInfo,
    time: vcpuTimeInfo,
  },
  { header: 'xen.h', size: [64, 64] },
);

const clocks = { wc_version: 'u32', wc_sec: 'u32', wc_nsec: 'u32' } as const;
const vcpuInfos = { vcpu_info: 'u8[2048]' } as const;

/** Up to the clocks; what follows them is for PV guests (`arch`). */
export const sharedInfo = xenStruct(
  'struct shared_info',
  { ...vcpuInfos, evtchn_pending: 'ulong[64]', evtchn_mask: 'ulong[64]', ...clocks },
  {
    header: 'xen.h',
    size: [3088, 2316],
    narrow: { ...vcpuInfos, evtchn_pending: 'ulong[32]', evtchn_mask: 'ulong[32]', ...clocks },
    partial: true,
  },
);

export const multicallEntry = xenStruct(
  'struct multicall_entry',
  { op: 'ulong', result: 'ulong', args: 'ulong[6]' },
  { header: 'xen.h', size: [64, 32] },
);

/** The time of a guest's TSC at 1 GHz: ns = ((ticks << 1) * 2^31) >> 32, the multiplier's top bit set as Xen has it. */
export const TSC_TO_SYSTEM_MUL = 0x8000_0000;
export const TSC_SHIFT = 1;
