// stack_switch: where an entry from user mode begins to push.

import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { guestSelector } from '../descriptors.ts';
import { currentVcpu, isGuestAddress, pvOf } from '../pv-domain.ts';

export const stackSwitch = defineHypercall({
  number: 3,
  name: 'stack_switch',
  ref: 'xen.h __HYPERVISOR_stack_switch',
  callers: ['pv64', 'pv32'],
  args: { ss: 'ulong', esp: 'gva' },
  handle(call, { ss, esp }) {
    if (!isGuestAddress(esp)) return -EINVAL;
    const vcpu = currentVcpu(pvOf(call));
    vcpu.kernelSs = guestSelector(ss % 0x10000);
    vcpu.kernelSp = esp;
    return 0;
  },
});
