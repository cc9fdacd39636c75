// stack_switch: where an entry from user mode begins to push.

import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { guestSelector } from '../descriptors.ts';
import { currentVcpu, isGuestAddress, pvOf } from '../pv-domain.ts';

export const stackSwitch = defineHypercall({
  number: 3,
  name: 'stack_switch',
  ref: 'xen.h __HYPERVISOR_stack_switch',
  inPlace: true,
  callers: ['pv64', 'pv32'],
  args: { ss: 'ulong', esp: 'gva' },
  handle(call, { ss, esp }) {
    const pv = pvOf(call);
    // Of a 32-bit guest's, the page tables say where it may lead.
    if (!pv.state.narrow && !isGuestAddress(pv, esp)) return -EINVAL;
    const vcpu = currentVcpu(pv);
    vcpu.kernelSs = guestSelector(ss % 0x10000, pv.state.narrow);
    vcpu.kernelSp = esp;
    return 0;
  },
});
