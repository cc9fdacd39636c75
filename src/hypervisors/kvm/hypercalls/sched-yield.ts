// Gives the rest of a turn to a vCPU that lost its host CPU.

import { KVM_FEATURE_PV_SCHED_YIELD } from '../abi.ts';
import { defineHypercall } from './define.ts';

export const schedYield = defineHypercall({
  number: 11,
  name: 'KVM_HC_SCHED_YIELD',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst 8',
  offered: ({ features }) => (features & KVM_FEATURE_PV_SCHED_YIELD) !== 0,
  // Argument: an APIC id. The only vCPU is the caller, which keeps its turn.
  handle: () => 0,
});
