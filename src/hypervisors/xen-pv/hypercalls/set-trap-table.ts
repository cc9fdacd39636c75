// set_trap_table: installs the guest's virtual IDT.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { EFAULT, EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { trapInfo } from '../abi.ts';
import { guestSelector } from '../descriptors.ts';
import { currentVcpu, pvOf } from '../pv-domain.ts';

/** Entries read before events are looked at. */
const ENTRIES_PER_TURN = 256;

export const setTrapTable = defineHypercall({
  number: 0,
  name: 'set_trap_table',
  ref: 'arch-x86/xen.h struct trap_info',
  callers: ['pv64', 'pv32'],
  args: { table: 'gva' },
  handle(call, { table }) {
    const { guest } = call;
    const pv = pvOf(call);
    const vcpu = currentVcpu(pv);
    if (table === 0) {
      vcpu.trapAddress.fill(0);
      vcpu.trapFlags.fill(0);
      vcpu.trapCs.fill(0);
      return 0;
    }
    const bytes = guest.sizeOf(trapInfo);
    for (let n = 0; n < ENTRIES_PER_TURN; n++) {
      const gate = guest.read(trapInfo, table + n * bytes);
      if (!gate) return -EFAULT; // Ends an unterminated table too; entries so far stay, as in Xen.
      if (gate.address === 0) return 0;
      if (call.wide && !isCanonical(gate.address)) return -EINVAL;
      vcpu.trapAddress[gate.vector] = gate.address;
      vcpu.trapFlags[gate.vector] = gate.flags;
      vcpu.trapCs[gate.vector] = guestSelector(gate.cs, pv.state.narrow);
    }
    return call.continueLater({ table: table + ENTRIES_PER_TURN * bytes });
  },
});
