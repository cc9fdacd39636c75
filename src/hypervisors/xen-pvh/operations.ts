// Which operations Xen's calls and shared pages serve for a PVH guest; all others are hardware's.

import { hardwareEntryPoint } from '../hw/operations.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';

const call = (name: string): EntryPoint => ({ name, by: 'hypercall', seen: 'exit' });
const shared = (name: string): EntryPoint => ({ name, by: 'shared', seen: 'unseen' });

const TIME = [shared('vcpu_info.time')];

export const XEN_PVH_MANIFEST: Manifest = {
  operations: {
    'time.sched_clock': TIME,
    'time.steal_clock': [call('VCPUOP_register_runstate_memory_area')],
    'time.get_wallclock': [shared('shared_info.wc_sec')],
    'hook.calibrate_tsc': TIME,
  },
  others: [
    call('memory_op.XENMEM_add_to_physmap'),
    call('event_channel_op.EVTCHNOP_send'),
    call('hvm_op.HVMOP_set_param'),
    call('grant_table_op'),
  ],
  rest: hardwareEntryPoint,
};
