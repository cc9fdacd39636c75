// Which layout the shared structures of a PVH guest have: that of the mode in which it sets up its drivers.

import type { XenDomain } from '../xen/domain.ts';
import { writeTime, writeWallClock } from '../xen/time.ts';

/**
 * Xen looks at the caller's mode when a hypercall page is written and when the callback is set (hvm_latch_shinfo_size), which
 * drivers do first of all.
 */
export function latchWordSize(domain: XenDomain, wide: boolean): void {
  if (domain.state.wideShared === wide) return;
  domain.state.wideShared = wide;
  writeWallClock(domain);
  for (const vcpu of domain.vcpus) writeTime(domain, vcpu);
}
