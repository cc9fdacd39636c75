// Xen's leaves in CPUID, as a PVH guest finds them.

import * as abi from '../xen/abi/hvm.ts';
import type { XenDomain } from '../xen/domain.ts';
import { XEN_VERSION } from '../xen/hypercalls/xen-version.ts';

const TSC_KHZ = 1_000_000;
const TSC_SHIFT = 1;
const TSC_MUL = 0x8000_0000;
const LAST = abi.XEN_CPUID_FIRST_LEAF + abi.XEN_CPUID_MAX_NUM_LEAVES;
/** How often the domain has been made or moved. */
const INCARNATION = 1;
const FEATURES =
  abi.XEN_HVM_CPUID_IOMMU_MAPPINGS |
  abi.XEN_HVM_CPUID_VCPU_ID_PRESENT |
  abi.XEN_HVM_CPUID_DOMID_PRESENT |
  abi.XEN_HVM_CPUID_UPCALL_VECTOR;

/** EAX to EDX; null: not one of ours. */
export function xenLeaf(
  domain: XenDomain,
  leaf: number,
  subleaf: number,
): readonly number[] | null {
  switch (leaf - abi.XEN_CPUID_FIRST_LEAF) {
    case 0:
      return [LAST, ...abi.XEN_CPUID_SIGNATURE];
    case 1:
      return [(XEN_VERSION.major << 16) | XEN_VERSION.minor, 0, 0, 0];
    case 2:
      return [1, abi.XEN_HYPERCALL_MSR, 0, 0];
    case 3:
      return timeLeaf(domain, subleaf);
    case 4:
      return subleaf === 0 ? [FEATURES, 0, domain.id, 0] : [0, 0, 0, 0];
    // Parameters of PV guests.
    case 5:
      return [0, 0, 0, 0];
    default:
      return null;
  }
}

/** The TSC is not emulated, runs at 1 GHz, and has not moved to another host. */
function timeLeaf({ platform }: XenDomain, subleaf: number): readonly number[] {
  switch (subleaf) {
    case 0:
      return [0, 0, TSC_KHZ, INCARNATION];
    case 1: {
      const offset = BigInt.asUintN(64, platform.cpu.state.get64('tscOffset'));
      return [Number(offset & 0xffff_ffffn), Number(offset >> 32n), TSC_MUL, TSC_SHIFT];
    }
    case 2:
      return [TSC_KHZ, 0, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}
