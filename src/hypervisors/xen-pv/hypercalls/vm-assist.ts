// vm_assist: what a guest wants Xen to do differently for it.

import { EINVAL, ENOSYS } from '../../xen/abi/errno.ts';
import {
  VMASST_CMD_disable,
  VMASST_CMD_enable,
  VMASST_TYPE_runstate_update_flag,
} from '../../xen/abi/xen.ts';
import { defineHypercall, type Requests } from '../../xen/define.ts';
import * as abi from '../abi.ts';
import { pvOf } from '../pv-domain.ts';

const REQUESTS: Requests = {
  [abi.VMASST_TYPE_4gb_segments]: { name: 'VMASST_TYPE_4gb_segments' },
  [abi.VMASST_TYPE_4gb_segments_notify]: { name: 'VMASST_TYPE_4gb_segments_notify' },
  [abi.VMASST_TYPE_writable_pagetables]: { name: 'VMASST_TYPE_writable_pagetables' },
  [abi.VMASST_TYPE_pae_extended_cr3]: { name: 'VMASST_TYPE_pae_extended_cr3' },
  [abi.VMASST_TYPE_architectural_iopl]: { name: 'VMASST_TYPE_architectural_iopl' },
  [VMASST_TYPE_runstate_update_flag]: { name: 'VMASST_TYPE_runstate_update_flag' },
  // Bit 32: it has no effect here.
  [abi.VMASST_TYPE_m2p_strict]: { name: 'VMASST_TYPE_m2p_strict', callers: ['pv64'] },
};

export const vmAssist = defineHypercall({
  number: 21,
  name: 'vm_assist',
  ref: 'xen.h VMASST_CMD_enable',
  callers: ['pv64', 'pv32'],
  // Each can be enabled and disabled.
  requestAt: { argument: 1 },
  requests: REQUESTS,
  args: { cmd: 'u32', type: 'u32' },
  handle(call, { cmd, type }) {
    const { state } = pvOf(call);
    const request = REQUESTS[type];
    if (!request || (request.callers && !request.callers.includes(call.caller))) return -EINVAL;
    if (type === abi.VMASST_TYPE_m2p_strict) return cmd <= VMASST_CMD_disable ? 0 : -ENOSYS;
    if (cmd === VMASST_CMD_enable) state.assists |= 1 << type;
    else if (cmd === VMASST_CMD_disable) state.assists &= ~(1 << type);
    else return -ENOSYS;
    return 0;
  },
});
