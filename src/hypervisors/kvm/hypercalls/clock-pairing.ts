// Wall time and TSC read at one moment.

import { KVM_EFAULT, KVM_EOPNOTSUPP, kvmClockPairing } from '../abi.ts';
import { halves } from '../vcpu.ts';
import { defineHypercall } from './define.ts';

const KVM_CLOCK_PAIRING_WALLCLOCK = 0n;
const SECOND = 1e9;

export const clockPairing = defineHypercall({
  number: 9,
  name: 'KVM_HC_CLOCK_PAIRING',
  ref: 'Documentation/virt/kvm/x86/hypercalls.rst 6',
  offered: ({ clockPairing: offered }) => offered,
  handle({ platform }, { a0, a1 }) {
    if (a1 !== KVM_CLOCK_PAIRING_WALLCLOCK) return -KVM_EOPNOTSUPP;
    const nanos = platform.clock.now();
    const area = new Uint8Array(kvmClockPairing.size);
    kvmClockPairing.write(new DataView(area.buffer), 0, {
      sec: platform.epochSeconds + Math.floor(nanos / SECOND),
      nsec: nanos % SECOND,
      tsc: halves(platform.cpu.cx.tsc()),
    });
    const inReach = a0 <= BigInt(Number.MAX_SAFE_INTEGER);
    return inReach && platform.ram.write(Number(a0), area) ? 0 : -KVM_EFAULT;
  },
});
