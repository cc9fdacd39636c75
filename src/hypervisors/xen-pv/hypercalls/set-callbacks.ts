// set_callbacks: the older way to name the entries for events, bad returns and system calls.

import { defineHypercall } from '../../xen/define.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

export const setCallbacks = defineHypercall({
  number: 4,
  name: 'set_callbacks',
  ref: 'xen.h __HYPERVISOR_set_callbacks',
  callers: ['pv64'],
  args: { event: 'gva', failsafe: 'gva', syscall: 'gva' },
  handle(call, { event, failsafe, syscall }) {
    const vcpu = currentVcpu(pvOf(call));
    vcpu.event.address = event;
    vcpu.failsafe.address = failsafe;
    vcpu.syscall.address = syscall;
    return 0;
  },
});
