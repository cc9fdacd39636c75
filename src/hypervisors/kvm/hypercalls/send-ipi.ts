// An inter-processor interrupt to a set of vCPUs, in one call instead of one APIC write each.

import { DELIVERY } from '../../../machine/devices/apic-bus.ts';
import { KVM_EINVAL, KVM_FEATURE_PV_SEND_IPI } from '../abi.ts';
import { defineHypercall } from './define.ts';

/** The parts of an ICR value (SDM 3A 11.6.1): destination mode and shorthand must be clear. */
const APIC_VECTOR_MASK = 0xffn;
const APIC_MODE_SHIFT = 8n;
const APIC_MODE_MASK = 7n;
const APIC_DEST_LOGICAL = 0x800n;
const APIC_SHORT_MASK = 0xc0000n;

/** The result is the number of vCPUs that took it. */
export const sendIpi = defineHypercall({
  number: 10,
  name: 'KVM_HC_SEND_IPI',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst 7',
  offered: ({ features }) => (features & KVM_FEATURE_PV_SEND_IPI) !== 0,
  handle({ platform }, { a0, a1, a2, a3, wide }) {
    if (a3 & (APIC_DEST_LOGICAL | APIC_SHORT_MASK)) return -KVM_EINVAL;
    const bits = wide ? 64n : 32n;
    const bitmap = a0 | (a1 << bits);
    const mode = Number((a3 >> APIC_MODE_SHIFT) & APIC_MODE_MASK);
    const vector = Number(a3 & APIC_VECTOR_MASK);
    // APIC ids count from the lowest in the bitmap; the only vCPU has id 0.
    if (a2 !== 0n || (bitmap & 1n) === 0n) return 0;
    const delivery = mode === DELIVERY.lowest ? DELIVERY.fixed : mode;
    return platform.lapic?.accept(delivery, vector, false) ? 1 : 0;
  },
});
