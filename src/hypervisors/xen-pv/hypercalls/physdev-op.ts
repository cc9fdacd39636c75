// physdev_op: ports and interrupts of devices, of which a guest without devices has only its IOPL.

import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../xen/abi/errno.ts';
import { xenStruct } from '../../xen/abi/layout.ts';
import { defineHypercall } from '../../xen/define.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

const header = 'physdev.h';
const setIopl = xenStruct('struct physdev_set_iopl', { iopl: 'u32' }, { header, size: [4, 4] });
const setIobitmap = xenStruct(
  'struct physdev_set_iobitmap',
  { bitmap: 'handle', nr_ports: 'u32' },
  { header, size: [16, 8] },
);
const PORTS = 65536;
const NOT_OURS = [-EPERM, 'only a domain with devices has their interrupts'] as const;

export const physdevOp = defineHypercall({
  number: 33,
  name: 'physdev_op',
  ref: 'physdev.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    2: { name: 'PHYSDEVOP_irq_unmask_notify', refuse: NOT_OURS },
    5: { name: 'PHYSDEVOP_irq_status_query', refuse: [-EINVAL, 'there are no such interrupts'] },
    6: {
      name: 'PHYSDEVOP_set_iopl',
      handle(call, at) {
        const arg = call.guest.read(setIopl, at);
        if (!arg) return -EFAULT;
        if (arg.iopl > 3) return -EINVAL;
        currentVcpu(pvOf(call)).iopl = arg.iopl;
        return 0;
      },
    },
    7: {
      name: 'PHYSDEVOP_set_iobitmap',
      handle(call, at) {
        const arg = call.guest.read(setIobitmap, at);
        if (!arg) return -EFAULT;
        // No port is this domain's, so a bitmap that opens some opens nothing.
        return arg.nr_ports > PORTS ? -EINVAL : 0;
      },
    },
    8: { name: 'PHYSDEVOP_apic_read', refuse: NOT_OURS },
    9: { name: 'PHYSDEVOP_apic_write', refuse: NOT_OURS },
    10: { name: 'PHYSDEVOP_alloc_irq_vector', refuse: NOT_OURS },
    12: { name: 'PHYSDEVOP_eoi', refuse: [-EINVAL, 'there are no such interrupts'] },
    13: { name: 'PHYSDEVOP_map_pirq', refuse: NOT_OURS },
    14: { name: 'PHYSDEVOP_unmap_pirq', refuse: NOT_OURS },
    28: {
      name: 'PHYSDEVOP_pirq_eoi_gmfn_v2',
      refuse: [-ENOSYS, 'a domain without devices is better off without it'],
    },
  },
});
