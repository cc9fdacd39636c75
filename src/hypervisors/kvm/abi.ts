// KVM's numbers and structures: leaves, feature bits, MSRs, calls, error codes, and the areas shared with a guest.

import { struct } from '../../base/struct.ts';

/** CPUID (Documentation/virt/kvm/x86/cpuid.rst). */
export const KVM_CPUID_SIGNATURE = 0x40000000;
export const KVM_CPUID_FEATURES = 0x40000001;
/** "KVMKVMKVM\0\0\0" in EBX, ECX, EDX. */
export const KVM_SIGNATURE = [0x4b4d564b, 0x564b4d56, 0x0000004d] as const;

/** Feature bits of the second leaf's EAX (arch/x86/include/uapi/asm/kvm_para.h). */
export const KVM_FEATURE_CLOCKSOURCE = 1 << 0;
export const KVM_FEATURE_NOP_IO_DELAY = 1 << 1;
export const KVM_FEATURE_MMU_OP = 1 << 2;
export const KVM_FEATURE_CLOCKSOURCE2 = 1 << 3;
export const KVM_FEATURE_ASYNC_PF = 1 << 4;
export const KVM_FEATURE_STEAL_TIME = 1 << 5;
export const KVM_FEATURE_PV_EOI = 1 << 6;
export const KVM_FEATURE_PV_UNHALT = 1 << 7;
export const KVM_FEATURE_PV_SEND_IPI = 1 << 11;
export const KVM_FEATURE_POLL_CONTROL = 1 << 12;
export const KVM_FEATURE_PV_SCHED_YIELD = 1 << 13;
export const KVM_FEATURE_CLOCKSOURCE_STABLE_BIT = 1 << 24;

/** MSRs (Documentation/virt/kvm/x86/msr.rst). */
export const MSR_KVM_WALL_CLOCK = 0x11;
export const MSR_KVM_SYSTEM_TIME = 0x12;
export const MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;
export const MSR_KVM_ASYNC_PF_EN = 0x4b564d02;
export const MSR_KVM_STEAL_TIME = 0x4b564d03;
export const MSR_KVM_PV_EOI_EN = 0x4b564d04;
export const MSR_KVM_POLL_CONTROL = 0x4b564d05;
export const MSR_KVM_ASYNC_PF_INT = 0x4b564d06;
export const MSR_KVM_ASYNC_PF_ACK = 0x4b564d07;
export const KVM_MSR_ENABLED = 1;
/** Bits 1 to 5 of the steal time MSR must be clear. */
export const KVM_STEAL_RESERVED_MASK = 0x3e;

/** Errors as a call returns them (include/uapi/linux/kvm_para.h). */
export const KVM_ENOSYS = 1000;
export const KVM_EFAULT = 14;
export const KVM_EINVAL = 22;
export const KVM_EPERM = 1;
export const KVM_EOPNOTSUPP = 95;

/** arch/x86/include/asm/pvclock-abi.h; kernels of 2.6.32 have padding in the place of `flags`. */
export const pvclockVcpuTimeInfo = struct(
  'pvclock_vcpu_time_info',
  {
    version: 'u32',
    pad0: 'u32',
    tsc_timestamp: 'u64pair',
    system_time: 'u64',
    tsc_to_system_mul: 'u32',
    tsc_shift: 's8',
    flags: 'u8',
    pad: 'u8[2]',
  },
  { size: 32 },
);
export const PVCLOCK_TSC_STABLE_BIT = 1 << 0;

/** arch/x86/include/asm/pvclock-abi.h */
export const pvclockWallClock = struct(
  'pvclock_wall_clock',
  { version: 'u32', sec: 'u32', nsec: 'u32' },
  { size: 12 },
);

/** arch/x86/include/uapi/asm/kvm_para.h */
export const kvmStealTime = struct(
  'kvm_steal_time',
  {
    steal: 'u64pair',
    version: 'u32',
    flags: 'u32',
    preempted: 'u8',
    u8_pad: 'u8[3]',
    pad: 'u32[11]',
  },
  { size: 64 },
);

/** arch/x86/include/uapi/asm/kvm_para.h */
export const kvmClockPairing = struct(
  'kvm_clock_pairing',
  { sec: 's64', nsec: 's64', tsc: 'u64pair', flags: 'u32', pad: 'u32[9]' },
  { size: 64 },
);
