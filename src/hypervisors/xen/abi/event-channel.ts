// event_channel_op: its sub-operations and their arguments.

import { xenStruct } from './layout.ts';

const header = 'event_channel.h';

/** xen/include/public/event_channel.h */
export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_bind_pirq = 2;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_reset = 10;
export const EVTCHNOP_init_control = 11;
export const EVTCHNOP_expand_array = 12;
export const EVTCHNOP_set_priority = 13;
export const EVTCHNOP_reset_cont = 14;

export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_pirq = 3;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

export const evtchnAllocUnbound = xenStruct(
  'struct evtchn_alloc_unbound',
  { dom: 'u16', remote_dom: 'u16', port: 'u32' },
  { header, size: [8, 8] },
);
export const evtchnBindInterdomain = xenStruct(
  'struct evtchn_bind_interdomain',
  { remote_dom: 'u16', remote_port: 'u32', local_port: 'u32' },
  { header, size: [12, 12] },
);
export const evtchnBindVirq = xenStruct(
  'struct evtchn_bind_virq',
  { virq: 'u32', vcpu: 'u32', port: 'u32' },
  { header, size: [12, 12] },
);
export const evtchnBindPirq = xenStruct(
  'struct evtchn_bind_pirq',
  { pirq: 'u32', flags: 'u32', port: 'u32' },
  { header, size: [12, 12] },
);
export const evtchnBindIpi = xenStruct(
  'struct evtchn_bind_ipi',
  { vcpu: 'u32', port: 'u32' },
  { header, size: [8, 8] },
);
/** close, send and unmask alike. */
export const evtchnPort = xenStruct(
  'struct evtchn_send',
  { port: 'u32' },
  { header, size: [4, 4] },
);
export const evtchnStatus = xenStruct(
  'struct evtchn_status',
  { dom: 'u16', port: 'u32', status: 'u32', vcpu: 'u32', u: 'u32[2]' },
  { header, size: [24, 24] },
);
export const evtchnBindVcpu = xenStruct(
  'struct evtchn_bind_vcpu',
  { port: 'u32', vcpu: 'u32' },
  { header, size: [8, 8] },
);
export const evtchnReset = xenStruct(
  'struct evtchn_reset',
  { dom: 'u16' },
  { header, size: [2, 2] },
);
export const evtchnInitControl = xenStruct(
  'struct evtchn_init_control',
  { control_gfn: 'u64', offset: 'u32', vcpu: 'u32', link_bits: 'u8', _pad: 'u8[7]' },
  { header, size: [24, 24] },
);
export const evtchnExpandArray = xenStruct(
  'struct evtchn_expand_array',
  { array_gfn: 'u64' },
  { header, size: [8, 8] },
);
export const evtchnSetPriority = xenStruct(
  'struct evtchn_set_priority',
  { port: 'u32', priority: 'u32' },
  { header, size: [8, 8] },
);

/** The FIFO ABI: one word per port, sixteen queues per vCPU. */
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
export const EVTCHN_FIFO_MAX_QUEUES = 16;
export const EVTCHN_FIFO_PENDING = 31;
export const EVTCHN_FIFO_MASKED = 30;
export const EVTCHN_FIFO_LINKED = 29;
export const EVTCHN_FIFO_BUSY = 28;
export const EVTCHN_FIFO_LINK_BITS = 17;
export const EVTCHN_FIFO_NR_CHANNELS = 1 << EVTCHN_FIFO_LINK_BITS;

export const evtchnFifoControlBlock = xenStruct(
  'struct evtchn_fifo_control_block',
  { ready: 'u32', _rsvd: 'u32', head: 'u32[16]' },
  { header, size: [72, 72] },
);
