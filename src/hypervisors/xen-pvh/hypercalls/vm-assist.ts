// vm_assist: the one thing that Xen does differently for a guest with page tables of its own.

import { EINVAL, ENOSYS } from '../../xen/abi/errno.ts';
import {
  VMASST_CMD_disable,
  VMASST_CMD_enable,
  VMASST_TYPE_runstate_update_flag,
} from '../../xen/abi/xen.ts';
import { defineHypercall, type Requests } from '../../xen/define.ts';

const REQUESTS: Requests = {
  [VMASST_TYPE_runstate_update_flag]: { name: 'VMASST_TYPE_runstate_update_flag' },
};

export const vmAssist = defineHypercall({
  number: 21,
  name: 'vm_assist',
  ref: 'xen.h VMASST_CMD_enable',
  callers: ['hvm'],
  requestAt: { argument: 1 },
  requests: REQUESTS,
  args: { cmd: 'u32', type: 'u32' },
  handle(_call, { cmd, type }) {
    if (!REQUESTS[type]) return -EINVAL;
    if (cmd !== VMASST_CMD_enable && cmd !== VMASST_CMD_disable) return -ENOSYS;
    // XEN_RUNSTATE_UPDATE stands in the area while it is written (vcpu.h): between two instructions of the only vCPU.
    return 0;
  },
});
