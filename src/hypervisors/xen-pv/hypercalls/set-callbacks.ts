// set_callbacks: the older way to name the entries for events, bad returns and system calls.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { defineHypercall } from '../../xen/define.ts';
import { guestSelector } from '../descriptors.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

export const setCallbacks = defineHypercall({
  number: 4,
  name: 'set_callbacks',
  ref: 'xen.h __HYPERVISOR_set_callbacks',
  callers: ['pv64', 'pv32'],
  // Addresses for events, bad returns, system calls; 32-bit guests: selector and address of the first two.
  args: { first: 'gva', second: 'gva', third: 'gva', fourth: 'gva' },
  handle(call, { first, second, third, fourth }) {
    const vcpu = currentVcpu(pvOf(call));
    if (call.wide) {
      // What is no address is left out, and the call answers 0 all the same (Xen 4.17, pv/callback.c).
      if (isCanonical(first)) vcpu.event.address = first;
      if (isCanonical(second)) vcpu.failsafe.address = second;
      if (isCanonical(third)) vcpu.syscall.address = third;
      return 0;
    }
    Object.assign(vcpu.event, { cs: guestSelector(first, true), address: second });
    Object.assign(vcpu.failsafe, { cs: guestSelector(third, true), address: fourth });
    return 0;
  },
});
