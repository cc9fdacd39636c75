// dm_op: what device models of other domains ask for.

import { xenDmOpBuf } from '../abi/control.ts';
import { E2BIG, EFAULT, EINVAL } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';
import { notAnother } from '../domid.ts';

/** A call has this many at most (Xen 4.17, common/dm.c). */
const BUFFERS_MAX = 2;

export const dmOp = defineHypercall({
  number: 41,
  name: 'dm_op',
  ref: 'hvm/dm_op.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { domid: 'u32', nr_bufs: 'u32', bufs: 'gva' },
  first({ domain, guest }, { domid, nr_bufs, bufs }) {
    if (nr_bufs > BUFFERS_MAX) return -E2BIG;
    if (!guest.bytes(bufs, nr_bufs * guest.sizeOf(xenDmOpBuf))) return -EFAULT;
    return notAnother(domain, domid & 0xffff);
  },
  refuse: [-EINVAL, 'the other domain is no HVM domain'],
});
