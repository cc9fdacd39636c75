// update_descriptor: one entry of a GDT or LDT page, by machine address.

import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { fixDescriptor } from '../descriptors.ts';
import { TYPE_DESCRIPTORS, TYPE_WRITABLE } from '../frames.ts';
import { pvOf } from '../pv-domain.ts';

export const updateDescriptor = defineHypercall({
  number: 10,
  name: 'update_descriptor',
  ref: 'xen.h __HYPERVISOR_update_descriptor',
  callers: ['pv64', 'pv32'],
  inPlace: true,
  args: { ma: 'u64', desc: 'u64' },
  handle(call, { ma, desc }) {
    const { frames, tables, state } = pvOf(call);
    const d = { lo: desc.lo, hi: desc.hi };
    const mfn = ma.hi * 0x100000 + (ma.lo >>> 12);
    if ((ma.lo & 7) !== 0 || !frames.get(mfn)) return -EINVAL;
    // An entry of a table that is not in use may be anything that is written there by hand.
    const type = frames.typeOf(mfn) === TYPE_DESCRIPTORS ? TYPE_DESCRIPTORS : TYPE_WRITABLE;
    const refused = !fixDescriptor(d, state.narrow) || tables.getType(mfn, type) !== 0;
    if (!refused) {
      tables.put(mfn, (ma.lo & 0xfff) >>> 3, d.lo, d.hi);
      tables.putType(mfn);
    }
    tables.putFrame(mfn);
    return refused ? -EINVAL : 0;
  },
});
