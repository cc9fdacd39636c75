// vm_assist: what a guest wants Xen to do differently for it.

import { EINVAL, ENOSYS } from '../../xen/abi/errno.ts';
import { defineHypercall } from '../../xen/define.ts';
import * as abi from '../abi.ts';
import { pvOf } from '../pv-domain.ts';

const VMASST_CMD_enable = 0;
const VMASST_CMD_disable = 1;

const mask = (...types: readonly number[]) => types.reduce((all, n) => all | (1 << n), 0);
/** What guests may ask for (Xen 4.17, asm/config.h); 64-bit ones `m2p_strict` too, bit 32, which has no effect here. */
const VALID = mask(
  abi.VMASST_TYPE_4gb_segments,
  abi.VMASST_TYPE_4gb_segments_notify,
  abi.VMASST_TYPE_writable_pagetables,
  abi.VMASST_TYPE_pae_extended_cr3,
  abi.VMASST_TYPE_architectural_iopl,
  abi.VMASST_TYPE_runstate_update_flag,
);

export const vmAssist = defineHypercall({
  number: 21,
  name: 'vm_assist',
  ref: 'xen.h VMASST_CMD_enable',
  callers: ['pv64', 'pv32'],
  args: { cmd: 'u32', type: 'u32' },
  handle(call, { cmd, type }) {
    const { state } = pvOf(call);
    if (type === abi.VMASST_TYPE_m2p_strict && call.caller === 'pv64')
      return cmd <= VMASST_CMD_disable ? 0 : -ENOSYS;
    if (type >= 32 || ((VALID >>> type) & 1) === 0) return -EINVAL;
    if (cmd === VMASST_CMD_enable) state.assists |= 1 << type;
    else if (cmd === VMASST_CMD_disable) state.assists &= ~(1 << type);
    else return -ENOSYS;
    return 0;
  },
});
