// update_va_mapping_otherdomain: update_va_mapping with a page of a domain that is named.

import { EPERM, ESRCH } from '../../xen/abi/errno.ts';
import { DOMID_SELF } from '../../xen/abi/xen.ts';
import { defineHypercall } from '../../xen/define.ts';
import { pvOf } from '../pv-domain.ts';
import { changeMapping } from './update-va-mapping.ts';

/** For domains that map others' pages: ours has nobody's but its own. */
export const updateVaMappingOtherdomain = defineHypercall({
  number: 22,
  name: 'update_va_mapping_otherdomain',
  ref: 'xen.h UVMF_TLB_FLUSH',
  callers: ['pv64', 'pv32'],
  args: { va: 'gva', val: 'u64', flags: 'ulong', domid: 'u32' },
  handle(call, { va, val, flags, domid }) {
    const named = domid & 0xffff;
    if (named !== DOMID_SELF && named !== call.domain.id)
      return named === 0 || named > DOMID_SELF ? -EPERM : -ESRCH;
    return changeMapping(pvOf(call), va, val, flags);
  },
});
