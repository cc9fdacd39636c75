// HVMOP_xentrace: an event for Xen's trace buffers, from a guest of any kind.

import { EFAULT, EINVAL } from './abi/errno.ts';
import { XENTRACE_EVENTS, XENTRACE_EXTRA_BYTES } from './abi/hvm.ts';
import type { Call } from './define.ts';

/** Xen traces nothing unless the control domain asks, which does not happen. */
export function traceEvent({ guest }: Call, at: number): number {
  const bytes = guest.bytes(at, 4 + XENTRACE_EXTRA_BYTES);
  if (!bytes) return -EFAULT;
  const [event0 = 0, event1 = 0, extra0 = 0, extra1 = 0] = bytes;
  const [event, extra] = [event0 | (event1 << 8), extra0 | (extra1 << 8)];
  return extra > XENTRACE_EXTRA_BYTES || event >= XENTRACE_EVENTS ? -EINVAL : 0;
}
