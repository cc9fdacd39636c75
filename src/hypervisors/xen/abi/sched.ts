// sched_op: its sub-operations and their arguments.

import { xenStruct } from './layout.ts';

const header = 'sched.h';

/** xen/include/public/sched.h */
export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SCHEDOP_remote_shutdown = 4;
export const SCHEDOP_shutdown_code = 5;
export const SCHEDOP_watchdog = 6;
export const SCHEDOP_pin_override = 7;

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;
export const SHUTDOWN_MAX = 5;

export const schedShutdown = xenStruct(
  'struct sched_shutdown',
  { reason: 'u32' },
  { header, size: [4, 4] },
);
export const schedPoll = xenStruct(
  'struct sched_poll',
  { ports: 'handle', nr_ports: 'u32', timeout: 'u64pair' },
  { header, size: [24, 16] },
);
export const schedRemoteShutdown = xenStruct(
  'struct sched_remote_shutdown',
  { domain_id: 'u16', reason: 'u32' },
  { header, size: [8, 8] },
);
export const schedWatchdog = xenStruct(
  'struct sched_watchdog',
  { id: 'u32', timeout: 'u32' },
  { header, size: [8, 8] },
);
