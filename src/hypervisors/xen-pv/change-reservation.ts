// Pages that a PV guest gives back or takes: increase_reservation, decrease_reservation, populate_physmap.

import * as abi from '../xen/abi/memory.ts';
import type { Call, CallResult } from '../xen/define.ts';
import { isSelf } from '../xen/domid.ts';
import { EXTENT_ORDER_MAX } from '../xen/memory-operations.ts';
import { pvOf } from './pv-domain.ts';
import { freePage, takePage } from './reservation.ts';

const EXTENTS_PER_TURN = 256;
/** More extents than the upper bits of the command can say (Xen 4.17, common/memory.c). */
const EXTENTS_END = 2 ** (32 - abi.MEMOP_EXTENT_SHIFT);
const NO_FRAME_LO = 0xffffffff;

/**
 * Answers how many extents are done, whatever is wrong with the others; the upper bits of the command say where a continued
 * call goes on.
 */
export function changeReservation(
  call: Call,
  at: number,
  cmd: number,
  kind: 'increase' | 'decrease' | 'populate',
): CallResult {
  const start = cmd >>> abi.MEMOP_EXTENT_SHIFT;
  const arg = call.guest.read(abi.memoryReservation, at);
  if (!arg || arg.nr_extents >= EXTENTS_END || start >= arg.nr_extents) return start;
  if (!isSelf(call.domain, arg.domid) || arg.extent_order > EXTENT_ORDER_MAX) return start;
  const word = call.wide ? 8 : 4;
  const perTurn = Math.max(1, EXTENTS_PER_TURN >> arg.extent_order);
  for (let n = start; n < arg.nr_extents; n++) {
    if (n - start === perTurn)
      return call.continueLater({
        cmd: ((n << abi.MEMOP_EXTENT_SHIFT) | (cmd & abi.MEMOP_CMD_MASK)) >>> 0,
      });
    const place = arg.extent_start + n * word;
    const done =
      kind === 'decrease'
        ? giveBack(call, place, arg.extent_order)
        : take(call, place, arg.extent_order, kind, arg.extent_start !== 0);
    if (!done) return n;
  }
  return arg.nr_extents;
}

/** Pages of an extent before a bad one are gone. */
function giveBack(call: Call, place: number, order: number): boolean {
  const mfn = call.guest.ulong(place);
  if (mfn === null) return false;
  const pv = pvOf(call);
  for (let n = 0; n < 1 << order; n++) if (!freePage(pv, mfn + n)) return false;
  return true;
}

/** Pages that lie together are never to be had. */
function take(
  call: Call,
  place: number,
  order: number,
  kind: 'increase' | 'populate',
  wants: boolean,
): boolean {
  const pfn = kind === 'populate' ? call.guest.ulong(place) : NO_FRAME_LO;
  if (pfn === null || order !== 0) return false;
  const mfn = takePage(pvOf(call), kind === 'populate' ? pfn : null);
  if (mfn < 0) return false;
  return kind === 'increase' && !wants ? true : call.guest.putUlong(place, mfn);
}
