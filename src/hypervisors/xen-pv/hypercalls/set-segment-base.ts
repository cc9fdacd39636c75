// set_segment_base: bases of FS and of both GS, and the user's GS by selector.

import { isCanonical } from '../../../cpu/control-bits.ts';
import { FS, GS } from '../../../cpu/descriptors.ts';
import { EINVAL } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import { SEGBASE_FS, SEGBASE_GS_KERNEL, SEGBASE_GS_USER, SEGBASE_GS_USER_SEL } from '../abi.ts';
import { pvOf } from '../pv-domain.ts';
import { loadUserGs } from '../segments.ts';

export const setSegmentBase = defineHypercall({
  number: 25,
  name: 'set_segment_base',
  ref: 'arch-x86/xen-x86_64.h SEGBASE_FS',
  callers: ['pv64'],
  inPlace: true,
  requestAt: { argument: 0 },
  requests: {
    [SEGBASE_FS]: { name: 'SEGBASE_FS' },
    [SEGBASE_GS_USER]: { name: 'SEGBASE_GS_USER' },
    [SEGBASE_GS_KERNEL]: { name: 'SEGBASE_GS_KERNEL' },
    [SEGBASE_GS_USER_SEL]: { name: 'SEGBASE_GS_USER_SEL' },
  },
  args: { which: 'u32', base: 'gva' },
  handle(call, { which, base }) {
    const pv = pvOf(call);
    const { state } = pv.cpu;
    const canonical = isCanonical(base);
    switch (which) {
      case SEGBASE_FS:
        if (!canonical) return -EINVAL;
        state.setSegBase(FS, base);
        return 0;
      case SEGBASE_GS_USER:
        if (!canonical) return -EINVAL;
        state.setVa('kernelGsBase', base);
        return 0;
      case SEGBASE_GS_KERNEL:
        if (!canonical) return -EINVAL;
        state.setSegBase(GS, base);
        return 0;
      case SEGBASE_GS_USER_SEL:
        loadUserGs(pv, base & 0xffff);
        return 0;
      default:
        return -EINVAL;
    }
  },
});
