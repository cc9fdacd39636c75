// XENMEM_exchange: pages that nothing refers to, for others.

import { EFAULT, EINVAL, ENOMEM, EPERM } from '../xen/abi/errno.ts';
import { memoryExchange } from '../xen/abi/memory.ts';
import type { Call, CallResult } from '../xen/define.ts';
import { notMine } from '../xen/domid.ts';
import { EXTENT_ORDER_MAX } from './change-reservation.ts';
import { type PvDomain, pvOf } from './pv-domain.ts';
import { freePage, takePage } from './reservation.ts';

type Exchange = NonNullable<ReturnType<typeof readExchange>>;
const readExchange = ({ guest }: Call, at: number) => guest.read(memoryExchange, at);

/** One extent a turn: `nr_exchanged` in the structure says how far it has come. */
export function exchange(call: Call, at: number): CallResult {
  const arg = readExchange(call, at);
  if (!arg) return -EFAULT;
  const { in: given, out: wanted, nr_exchanged: done } = arg;
  const error = check(arg);
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

function check({ in: given, out: wanted, nr_exchanged: done }: Exchange): number {
  if (Math.max(given.extent_order, wanted.extent_order) > EXTENT_ORDER_MAX) return -EPERM;
  const same =
    given.nr_extents * 2 ** given.extent_order === wanted.nr_extents * 2 ** wanted.extent_order;
  return done > given.nr_extents || given.domid !== wanted.domid || !same ? -EINVAL : 0;
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
