// sched_op: gives the processor away, waits for events, ends the domain.

import { EFAULT, EINVAL, EPERM } from '../abi/errno.ts';
import * as abi from '../abi/sched.ts';
import { type Call, defineHypercall } from '../define.ts';
import { notAnother } from '../domid.ts';
import { channelAt, isPending } from '../events.ts';
import { systemTime } from '../runstate.ts';
import { shutDown } from '../shutdown.ts';
import { fallAsleep, upcallPending } from '../upcall.ts';
import { watchdog } from '../watchdog.ts';

/** Xen polls for at most 128 ports. */
const POLL_PORTS_MAX = 128;
const NO_FRAME = -1;
const NEVER_HI = 0xf_ffff;

export const schedOp = defineHypercall({
  number: 29,
  name: 'sched_op',
  ref: 'sched.h',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    [abi.SCHEDOP_yield]: { name: 'SCHEDOP_yield', handle: () => 0 },
    [abi.SCHEDOP_block]: { name: 'SCHEDOP_block', handle: block },
    [abi.SCHEDOP_shutdown]: { name: 'SCHEDOP_shutdown', handle: shutdown },
    [abi.SCHEDOP_poll]: { name: 'SCHEDOP_poll', handle: poll },
    [abi.SCHEDOP_remote_shutdown]: {
      name: 'SCHEDOP_remote_shutdown',
      handle: ({ domain, guest }, at) => {
        const arg = guest.read(abi.schedRemoteShutdown, at);
        if (!arg) return -EFAULT;
        return notAnother(domain, arg.domain_id) || -EPERM;
      },
    },
    [abi.SCHEDOP_shutdown_code]: { name: 'SCHEDOP_shutdown_code', handle: shutdownCode },
    [abi.SCHEDOP_watchdog]: {
      name: 'SCHEDOP_watchdog',
      handle: ({ domain, guest }, at) => {
        const arg = guest.read(abi.schedWatchdog, at);
        return arg ? watchdog(domain, arg.id, arg.timeout) : -EFAULT;
      },
    },
    [abi.SCHEDOP_pin_override]: {
      name: 'SCHEDOP_pin_override',
      refuse: [-EPERM, 'only the hardware domain pins its vCPUs'],
    },
  },
});

/**
 * Sleeps until an event is pending: delivery is open meanwhile, whatever the mask was. One that is pending and cannot be taken
 * does not count: only a new one ends the sleep (Xen 4.17, vcpu_block, local_events_need_delivery).
 */
function block({ domain, vcpu }: Call): number {
  domain.platform.ram.setU8(vcpu.state.info + 1, 0);
  if (upcallPending(domain, vcpu) && !domain.guest.interruptsOff?.()) return 0;
  fallAsleep(domain, vcpu, []);
  return 0;
}

/** Sleeps until one of the ports is pending, masked or not, or until the time. */
function poll({ domain, vcpu, guest }: Call, at: number): number {
  const arg = guest.read(abi.schedPoll, at);
  if (!arg) return -EFAULT;
  if (arg.nr_ports > POLL_PORTS_MAX) return -EINVAL;
  const ports: number[] = [];
  for (let n = 0; n < arg.nr_ports; n++) {
    const port = guest.u32(arg.ports + n * 4);
    if (port === null) return -EFAULT;
    if (!channelAt(domain, port)) return -EINVAL;
    if (isPending(domain, port)) return 0;
    ports.push(port);
  }
  const { lo, hi } = arg.timeout;
  if (lo !== 0 || hi !== 0) {
    const deadline = Math.min(hi, NEVER_HI) * 0x1_0000_0000 + lo;
    if (deadline <= systemTime(domain)) return 0;
    vcpu.pollEnd.set(deadline);
  }
  fallAsleep(domain, vcpu, ports);
  return 0;
}

/** A third argument is for the toolstack alone: the frame of a suspended PV guest's start_info. */
function shutdown({ domain, guest, frame, wide }: Call, at: number): number {
  const arg = guest.read(abi.schedShutdown, at);
  if (!arg) return -EFAULT;
  const { words, at: places } = frame.from;
  const [lo, hi] = words.subarray(places[2]);
  const startInfo = wide && hi !== 0 ? NO_FRAME : lo! >>> 0;
  return shutDown(domain, arg.reason & 0xff, startInfo);
}

/** Says beforehand what a shutdown is to be taken for: what is said first counts. */
function shutdownCode({ domain, guest }: Call, at: number): number {
  const arg = guest.read(abi.schedShutdown, at);
  if (!arg) return -EFAULT;
  if (domain.state.shutdownCode < 0) domain.state.shutdownCode = arg.reason & 0xff;
  return 0;
}
