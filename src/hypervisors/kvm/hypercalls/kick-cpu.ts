// Wakes a vCPU that halted in a paravirtual spinlock.

import { KVM_FEATURE_PV_UNHALT } from '../abi.ts';
import { defineHypercall } from './define.ts';

export const kickCpu = defineHypercall({
  number: 5,
  name: 'KVM_HC_KICK_CPU',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst 5',
  offered: ({ features }) => (features & KVM_FEATURE_PV_UNHALT) !== 0,
  // Arguments: flags (unused), APIC id. The only vCPU is the caller, which runs: there is nobody to wake.
  handle: () => 0,
});
