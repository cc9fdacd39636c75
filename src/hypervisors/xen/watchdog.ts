// The two watchdogs of a domain: it ends when it does not set them again in time.

import { EINVAL, ENOSPC } from './abi/errno.ts';
import { SHUTDOWN_watchdog } from './abi/sched.ts';
import type { XenDomain } from './domain.ts';
import { systemTime } from './runstate.ts';
import { endDomain } from './shutdown.ts';

const NANOS_PER_SECOND = 1_000_000_000;
/** Times of centuries from now are all the same to us. */
const NEVER = 2 ** 52;

/** SCHEDOP_watchdog: 0 starts one and answers its number; of no time, one stops. (Xen 4.17, common/sched/core.c) */
export function watchdog(domain: XenDomain, id: number, seconds: number): number {
  const { watchdogs, state } = domain;
  if (id > watchdogs.length) return -EINVAL;
  const n = id === 0 ? state.watchdogs.indexOf(false) : id - 1;
  if (n < 0) return -ENOSPC;
  if (id !== 0 && !state.watchdogs[n]) return -EINVAL;
  const stops = id !== 0 && seconds === 0;
  state.watchdogs[n] = !stops;
  if (stops) watchdogs[n]!.cancel();
  else watchdogs[n]!.set(Math.min(systemTime(domain) + seconds * NANOS_PER_SECOND, NEVER));
  return id === 0 ? n + 1 : 0;
}

export function watchdogFired(domain: XenDomain): void {
  endDomain(domain, SHUTDOWN_watchdog, 'SCHEDOP_watchdog');
}
