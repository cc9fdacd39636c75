// The end of a domain, as it says itself.

import { EINVAL } from './abi/errno.ts';
import * as abi from './abi/sched.ts';
import type { XenDomain } from './domain.ts';

/** Suspended and resumed at once: what a checkpoint looks like from inside (SCHEDOP_shutdown, Linux `cancelled`). */
const CANCELLED = 1;

/** Answers what the call returns, if the domain lives on. */
export function shutDown(domain: XenDomain, reason: number): number {
  if (reason > abi.SHUTDOWN_soft_reset) return -EINVAL;
  const { power } = domain.platform;
  domain.state.shutdownReason = reason;
  switch (reason) {
    case abi.SHUTDOWN_suspend:
      return CANCELLED;
    case abi.SHUTDOWN_reboot:
    case abi.SHUTDOWN_soft_reset:
      power.reset('SCHEDOP_shutdown: reboot');
      return 0;
    case abi.SHUTDOWN_crash:
      power.crash('SCHEDOP_shutdown: crash');
      return 0;
    default:
      power.off('SCHEDOP_shutdown: poweroff');
      return 0;
  }
}
