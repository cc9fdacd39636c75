// set_timer_op: the single shot of the running vCPU, in the form of before vcpu_op.

import { defineHypercall } from '../define.ts';
import { setSingleshot } from '../time.ts';

/** A deadline with a higher word than this is never. */
const NEVER_HI = 0xf_ffff;

export const setTimerOp = defineHypercall({
  number: 15,
  name: 'set_timer_op',
  ref: 'xen.h HYPERVISOR_set_timer_op',
  callers: ['pv64', 'pv32', 'hvm'],
  inPlace: true,
  args: { timeout: 'u64' },
  handle({ domain, vcpu }, { timeout: { lo, hi } }) {
    if (lo === 0 && hi === 0) vcpu.singleshot.cancel();
    else setSingleshot(domain, vcpu, Math.min(hi, NEVER_HI) * 0x1_0000_0000 + lo);
    return 0;
  },
});
