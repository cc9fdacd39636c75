// XENMEM_exchange: pages that nothing refers to, for others.

import { EFAULT, EINVAL, ENOMEM } from '../xen/abi/errno.ts';
import { memoryExchange } from '../xen/abi/memory.ts';
import type { Call, CallResult } from '../xen/define.ts';
import { notMine } from '../xen/domid.ts';
import { badExchange } from '../xen/memory-operations.ts';
import { type PvDomain, pvOf } from './pv-domain.ts';
import { freePage, takePage } from './reservation.ts';

/** One extent a turn: `nr_exchanged` in the structure says how far it has come. */
export function exchange(call: Call, at: number): CallResult {
  const arg = call.guest.read(memoryExchange, at);
  if (!arg) return -EFAULT;
  const { in: given, out: wanted, nr_exchanged: done } = arg;
  const error = badExchange(arg);
  if (error) return error;
  if (done === given.nr_extents) return 0;
  const refused = notMine(call.domain, given.domid);
  if (refused) return refused;
  // Pages that lie together are never to be had.
  if (wanted.extent_order !== 0) return -ENOMEM;
  const word = call.wide ? 8 : 4;
  const pages = 1 << given.extent_order;
  const first = call.guest.ulong(given.extent_start + done * word);
  if (first === null) return -EFAULT;
  const failed = exchangeExtent(call, first, pages, wanted.extent_start + done * pages * word);
  if (failed) return failed;
  const patch = { nr_exchanged: done + 1 };
  if (!call.guest.write(memoryExchange, at, patch)) return -EFAULT;
  return done + 1 === given.nr_extents ? 0 : call.continueLater({});
}

function exchangeExtent(call: Call, first: number, pages: number, out: number): number {
  const pv = pvOf(call);
  for (let n = 0; n < pages; n++) if (!isLoose(pv, first + n)) return -EINVAL;
  const word = call.wide ? 8 : 4;
  for (let n = 0; n < pages; n++) {
    const place = out + n * word;
    const pfn = call.guest.ulong(place);
    if (pfn === null) return -EFAULT;
    freePage(pv, first + n);
    if (!call.guest.putUlong(place, takePage(pv, pfn))) return -EFAULT;
  }
  return 0;
}

/** A page of the domain's that is neither mapped nor pinned. */
function isLoose({ frames }: PvDomain, mfn: number): boolean {
  return frames.isPage(mfn) && frames.references(mfn) === 1;
}
