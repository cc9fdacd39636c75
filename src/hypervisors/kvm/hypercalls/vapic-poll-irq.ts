// Leaves the guest for a moment, so that the host may look for interrupts: they are never late here.

import { defineHypercall } from './define.ts';

export const vapicPollIrq = defineHypercall({
  number: 1,
  name: 'KVM_HC_VAPIC_POLL_IRQ',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst 1',
  offered: () => true,
  handle: () => 0,
});
