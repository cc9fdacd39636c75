// What each version of KVM offers: the feature bits by the kernel that the host ran.

import {
  KVM_FEATURE_CLOCKSOURCE,
  KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
  KVM_FEATURE_CLOCKSOURCE2,
  KVM_FEATURE_MMU_OP,
  KVM_FEATURE_NOP_IO_DELAY,
  KVM_FEATURE_POLL_CONTROL,
  KVM_FEATURE_PV_EOI,
  KVM_FEATURE_PV_SCHED_YIELD,
  KVM_FEATURE_PV_SEND_IPI,
  KVM_FEATURE_PV_UNHALT,
  KVM_FEATURE_STEAL_TIME,
} from './abi.ts';

export interface KvmVersion {
  readonly name: string;
  readonly features: number;
  /** Highest leaf that the signature leaf names; hosts of 2.6.32 said 0. */
  readonly maxLeaf: number;
  /** Calls without a feature bit of their own that came later than the oldest version. */
  readonly clockPairing: boolean;
}

/**
 * Left out of 6.1: asynchronous page faults (we never swap a guest's page out) and what only matters with several vCPUs
 * that can lose their host CPU (bit 9). Newest first.
 */
export const KVM_VERSIONS: readonly KvmVersion[] = [
  {
    name: '6.1',
    features:
      KVM_FEATURE_CLOCKSOURCE |
      KVM_FEATURE_NOP_IO_DELAY |
      KVM_FEATURE_CLOCKSOURCE2 |
      KVM_FEATURE_STEAL_TIME |
      KVM_FEATURE_PV_EOI |
      KVM_FEATURE_PV_UNHALT |
      KVM_FEATURE_PV_SEND_IPI |
      KVM_FEATURE_POLL_CONTROL |
      KVM_FEATURE_PV_SCHED_YIELD |
      KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
    maxLeaf: 0x40000001,
    clockPairing: true,
  },
  {
    name: '2.6.32',
    features: KVM_FEATURE_CLOCKSOURCE | KVM_FEATURE_NOP_IO_DELAY | KVM_FEATURE_MMU_OP,
    maxLeaf: 0,
    clockPairing: false,
  },
];
