// The end of a domain, as it says itself.

import * as abi from './abi/sched.ts';
import type { XenDomain } from './domain.ts';

/** The guest says how it ends. Answers what the call returns, if the domain lives on. */
export function shutDown(domain: XenDomain, reason: number, startInfo: number): number {
  if (reason !== abi.SHUTDOWN_suspend) {
    endDomain(domain, reason, 'SCHEDOP_shutdown');
    return 0;
  }
  domain.state.shutdownReason = reason;
  return domain.guest.resume(startInfo);
}

/** A code that the guest has given beforehand goes before the reason (SCHEDOP_shutdown_code). `how` names what ended it. */
export function endDomain(domain: XenDomain, reason: number, how: string): void {
  const { state, platform } = domain;
  const { power } = platform;
  const said = state.shutdownCode >= 0 ? state.shutdownCode : reason;
  state.shutdownReason = said;
  switch (said) {
    case abi.SHUTDOWN_reboot:
    case abi.SHUTDOWN_soft_reset:
      return power.reset(`${how}: reboot`);
    case abi.SHUTDOWN_crash:
    case abi.SHUTDOWN_watchdog:
      return power.crash(`${how}: crash`);
    default:
      // A reason that Xen does not know ends the domain as well; its number is for the toolstack (sched.h).
      return power.off(`${how}: ${said > abi.SHUTDOWN_MAX ? `reason ${said}` : 'poweroff'}`);
  }
}
