// vcpu_op: its sub-operations and their arguments.

import { xenStruct } from './layout.ts';

const header = 'vcpu.h';

/** xen/include/public/vcpu.h */
export const VCPUOP_initialise = 0;
export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_send_nmi = 11;
export const VCPUOP_get_physid = 12;
export const VCPUOP_register_vcpu_time_memory_area = 13;

export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;

export const VCPU_SSHOTTMR_future = 1 << 0;

export const vcpuRunstateInfo = xenStruct(
  'struct vcpu_runstate_info',
  { state: 's32', state_entry_time: 'u64', time: 'u64[4]' },
  { header, size: [48, 44] },
);
/** Runstate and time areas alike: a union of a pointer and a 64-bit number, of which 32-bit guests fill the low half. */
export const vcpuRegisterArea = xenStruct(
  'struct vcpu_register_runstate_memory_area',
  { p: 'va64' },
  { header, size: [8, 8], members: { p: 'addr.p' } },
);
export const vcpuSetPeriodicTimer = xenStruct(
  'struct vcpu_set_periodic_timer',
  { period_ns: 'u64pair' },
  { header, size: [8, 8] },
);
export const vcpuSetSingleshotTimer = xenStruct(
  'struct vcpu_set_singleshot_timer',
  { timeout_abs_ns: 'u64pair', flags: 'u32' },
  { header, size: [16, 12] },
);
export const vcpuRegisterVcpuInfo = xenStruct(
  'struct vcpu_register_vcpu_info',
  { mfn: 'u64', offset: 'u32', rsvd: 'u32' },
  { header, size: [16, 16] },
);
export const vcpuGetPhysid = xenStruct(
  'struct vcpu_get_physid',
  { phys_id: 'u64' },
  { header, size: [8, 8] },
);
