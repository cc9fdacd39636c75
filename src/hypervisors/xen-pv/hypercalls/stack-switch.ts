// stack_switch: where an entry from user mode begins to push.

import { defineHypercall } from '../../xen/define.ts';
import { guestSelector } from '../descriptors.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

export const stackSwitch = defineHypercall({
  number: 3,
  name: 'stack_switch',
  ref: 'xen.h __HYPERVISOR_stack_switch',
  inPlace: true,
  callers: ['pv64', 'pv32'],
  args: { ss: 'ulong', esp: 'gva' },
  // Any address will do: where nothing can be pushed the domain ends, when it comes to that.
  handle(call, { ss, esp }) {
    const pv = pvOf(call);
    const vcpu = currentVcpu(pv);
    vcpu.kernelSs = guestSelector(ss % 0x10000, pv.state.narrow);
    vcpu.kernelSp = esp;
    return 0;
  },
});
