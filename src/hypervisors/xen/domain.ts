// A Xen domain and its vCPUs: the plain state that calls, events and devices share, and what they reach it through.

import { widen } from '../../base/widen.ts';
import type { Timer } from '../../machine/clock.ts';
import type { Platform } from '../define.ts';
import { EVTCHN_FIFO_MAX_QUEUES } from './abi/event-channel.ts';
import { RUNSTATE_running } from './abi/vcpu.ts';
import { NR_VIRQS } from './abi/xen.ts';
import type { Frame } from './define.ts';
import { freshGrants, type GrantState } from './grant-state.ts';
import type { XenGuest } from './memory.ts';

/** The first domain that a toolstack starts. */
export const OUR_DOMID = 1;
/** What `max_event_channels` of xl is when nobody sets it (xl.cfg): the highest port. */
export const MAX_PORT = 1023;
/** Lines kept of what a guest asked for and does not get: a guest cannot make more than there are calls, but be sure. */
const LOG_LINES_MAX = 200;
/** NR_DOMAIN_WATCHDOG_TIMERS of Xen 4.17. */
const WATCHDOGS = 2;
/** No address: RAM begins at 0. */
export const NOWHERE = -1;

/** One port. `status` is an EVTCHNSTAT_*. */
export interface Channel {
  status: number;
  /** The vCPU that is told. */
  vcpu: number;
  virq: number;
  remoteDom: number;
  remotePort: number;
  /** Who hears at the other end, if that is the host: a name in `XenDomain.ends`. */
  end: string;
  /** FIFO: the queue that it is put into, the queue that it was last put into, and events kept until its word exists. */
  priority: number;
  lastQueue: number;
  pending: boolean;
}

export interface VcpuState {
  up: boolean;
  initialised: boolean;
  /** RAM address of the vcpu_info; and whether the guest has placed it itself. */
  info: number;
  placed: boolean;
  /** Guest-virtual address of the runstate area; 0: none. And what it holds. */
  runstateArea: number;
  runstate: { state: number; since: number; time: number[] };
  /** Guest-virtual address of the extra time area; 0: none. */
  timeArea: number;
  /** Period of the periodic timer; 0: off. */
  period: number;
  /** Port of each virtual IRQ of this vCPU, 0: not bound. */
  virqPorts: number[];
  /** LAPIC vector that announces events (HVMOP_set_evtchn_upcall_vector); 0: none. */
  upcallVector: number;
  /** Its local APIC was off when it came: Xen keeps the interrupt until it is on, where hardware would drop it. */
  upcallHeld: boolean;
  /** Waiting in a call: for an event, or for one of these ports. */
  blocked: boolean;
  polls: number[];
  /** FIFO: RAM address of the control block, and the last port of each queue. */
  controlBlock: number;
  tails: number[];
}

export interface DomainState {
  /** shared_info and vcpu_info have the 64-bit layout. */
  wideShared: boolean;
  sharedInfo: number;
  channels: Channel[];
  /** FIFO: RAM addresses of the pages of event words; `fifo` says whether that ABI is in use. */
  fifo: boolean;
  eventPages: number[];
  vcpus: VcpuState[];
  grants: GrantState;
  /** HVM_PARAM_* that the guest has set or may get; PV leaves them alone. */
  params: { lo: number; hi: number }[];
  /** The vector that announces events in a PVH guest, -1 before it has named one. */
  callbackVector: number;
  /** The guest has made a call. */
  called: boolean;
  /** Which of the domain's watchdogs run. */
  watchdogs: boolean[];
  /** SHUTDOWN_* as the guest last said it, -1 before; and what it wants a silent end to be taken for. */
  shutdownReason: number;
  shutdownCode: number;
  log: string[];
}

export interface XenVcpu {
  readonly id: number;
  /** What a call of 64-bit and of 32-bit code is reached through; null before the first. */
  readonly frames: { wide: Frame | null; narrow: Frame | null };
  readonly state: VcpuState;
  readonly singleshot: Timer;
  readonly periodic: Timer;
  /** The end of a poll with a timeout. */
  readonly pollEnd: Timer;
}

export interface XenDomain {
  readonly id: number;
  readonly platform: Platform;
  readonly guest: XenGuest;
  readonly state: DomainState;
  readonly vcpus: readonly XenVcpu[];
  readonly watchdogs: readonly Timer[];
  /** Host ends of event channels, by the name that the channel carries. */
  readonly ends: Map<string, () => void>;
}

export function freshVcpu(): VcpuState {
  const state: VcpuState = {
    up: false,
    initialised: false,
    info: NOWHERE,
    placed: false,
    runstateArea: 0,
    runstate: { state: RUNSTATE_running, since: 0, time: [0, 0, 0, 0] },
    timeArea: 0,
    period: 0,
    virqPorts: new Array<number>(NR_VIRQS).fill(0),
    upcallVector: 0,
    upcallHeld: false,
    blocked: false,
    polls: [],
    controlBlock: NOWHERE,
    tails: new Array<number>(EVTCHN_FIFO_MAX_QUEUES).fill(0),
  };
  return widen(state, 'info', 'runstateArea', 'timeArea', 'controlBlock');
}

export const freshDomain = (vcpus: number): DomainState => ({
  wideShared: true,
  sharedInfo: NOWHERE,
  channels: [],
  fifo: false,
  eventPages: [],
  vcpus: Array.from({ length: vcpus }, freshVcpu),
  grants: freshGrants(),
  params: [],
  callbackVector: -1,
  called: false,
  watchdogs: new Array<boolean>(WATCHDOGS).fill(false),
  shutdownReason: -1,
  shutdownCode: -1,
  log: [],
});

/** What a domain is made of; its state lies in the slot `xen`, its timers on the machine's clock. */
export interface DomainParts {
  readonly platform: Platform;
  readonly guest: XenGuest;
  readonly vcpus: number;
  /** A vCPU's timers have fired. */
  singleshot(vcpu: XenVcpu): void;
  periodic(vcpu: XenVcpu): void;
  pollEnd(vcpu: XenVcpu): void;
  /** A watchdog has not been set again in time. */
  watchdog(domain: XenDomain): void;
}

export function createDomain(parts: DomainParts): XenDomain {
  const { platform, guest } = parts;
  const state = freshDomain(parts.vcpus);
  platform.snapshots.addState('xen', state);
  const vcpus: XenVcpu[] = state.vcpus.map((vcpu, id) => ({
    id,
    frames: { wide: null, narrow: null },
    // The list is assigned in place by a restore, and so are its members.
    state: vcpu,
    singleshot: platform.clock.timer(`xen.vcpu${id}.singleshot`, () =>
      parts.singleshot(vcpus[id]!),
    ),
    periodic: platform.clock.timer(`xen.vcpu${id}.periodic`, () => parts.periodic(vcpus[id]!)),
    pollEnd: platform.clock.timer(`xen.vcpu${id}.poll`, () => parts.pollEnd(vcpus[id]!)),
  }));
  const watchdogs = state.watchdogs.map((_, n) =>
    platform.clock.timer(`xen.watchdog${n}`, () => parts.watchdog(domain)),
  );
  const domain: XenDomain = {
    ...{ id: OUR_DOMID, platform, guest, state, vcpus, watchdogs },
    ends: new Map(),
  };
  return domain;
}

/** What is not modelled says so once, by name. */
export function logOnce({ state }: XenDomain, line: string): void {
  if (state.log.length < LOG_LINES_MAX && !state.log.includes(line)) state.log.push(line);
}

/** The vCPU of that number, as calls name them; undefined: there is none. */
export function vcpuOf(domain: XenDomain, id: number): XenVcpu | undefined {
  return domain.vcpus[id];
}
