// xenoprof_op: profiles by performance counters.

import * as abi from '../abi/control.ts';
import { EINVAL, ENODEV, EPERM } from '../abi/errno.ts';
import { defineHypercall } from '../define.ts';

/** What a domain may do that is not the one that profiles (Xen 4.17, common/xenoprof.c). */
const ANYBODYS: ReadonlySet<number> = new Set([
  abi.XENOPROF_init,
  abi.XENOPROF_enable_virq,
  abi.XENOPROF_disable_virq,
  abi.XENOPROF_get_buffer,
]);

export const xenoprofOp = defineHypercall({
  number: 31,
  name: 'xenoprof_op',
  ref: 'xenoprof.h',
  callers: ['pv64', 'pv32'],
  args: { op: 's32', arg: 'gva' },
  first(_call, { op }) {
    if (op < 0 || op > abi.XENOPROF_last_op) return -EINVAL;
    return ANYBODYS.has(op) ? 0 : -EPERM;
  },
  refuse: [-ENODEV, 'the processor has no performance counters'],
});
