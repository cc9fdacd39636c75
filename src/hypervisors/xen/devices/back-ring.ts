// The host's end of a shared ring: requests out of it, responses into it, and when the other end wants to hear.

import type { GuestRam } from '../../../machine/memory.ts';

/** xen/include/public/io/ring.h: four indexes at the head of the first page, entries behind 64 bytes. */
const REQ_PROD = 0;
const REQ_EVENT = 4;
const RSP_PROD = 8;
const RSP_EVENT = 12;
const ENTRIES_AT = 64;
const PAGE_BYTES = 4096;

/** Plain: RAM addresses of its pages, bytes of an entry, and the indexes that are the host's own. */
export interface BackRing {
  pages: number[];
  entryBytes: number;
  requestsTaken: number;
  responses: number;
}

export const freshRing = (): BackRing => ({
  pages: [],
  entryBytes: 1,
  requestsTaken: 0,
  responses: 0,
});

/** The largest power of two of entries that the pages hold. */
export function ringSize({ pages, entryBytes }: BackRing): number {
  if (pages.length === 0) return 0;
  return 2 ** Math.floor(Math.log2((pages.length * PAGE_BYTES - ENTRIES_AT) / entryBytes));
}

/** The next request, copied: what the guest changes behind it does not matter. Null: there is none, or none that makes sense. */
export function takeRequest(ram: GuestRam, ring: BackRing): Uint8Array | null {
  if (waitingRequests(ram, ring) === 0) return null;
  const entry = access(ram, ring, ring.requestsTaken, null);
  ring.requestsTaken = (ring.requestsTaken + 1) >>> 0;
  return entry;
}

/** Requests that wait; none if the guest's index makes no sense. */
export function waitingRequests(ram: GuestRam, ring: BackRing): number {
  const first = ring.pages[0];
  if (first === undefined) return 0;
  const waiting = (ram.u32(first + REQ_PROD) - ring.requestsTaken) >>> 0;
  return waiting > ringSize(ring) ? 0 : waiting;
}

/** Asks to hear when so many requests wait. True: they have come meanwhile. */
export function finalCheck(ram: GuestRam, ring: BackRing, wanted = 1): boolean {
  const first = ring.pages[0];
  if (first === undefined) return false;
  ram.setU32(first + REQ_EVENT, (ring.requestsTaken + wanted) >>> 0);
  return waitingRequests(ram, ring) >= wanted;
}

/** Whether the guest wants to be told (RING_PUSH_RESPONSES_AND_CHECK_NOTIFY). */
export function putResponse(ram: GuestRam, ring: BackRing, response: Uint8Array): boolean {
  const first = ring.pages[0];
  if (first === undefined) return false;
  access(ram, ring, ring.responses, response);
  const old = ring.responses;
  ring.responses = (old + 1) >>> 0;
  ram.setU32(first + RSP_PROD, ring.responses);
  return (ring.responses - ram.u32(first + RSP_EVENT)) >>> 0 < (ring.responses - old) >>> 0;
}

/** An entry may lie across two pages, which need not be neighbours. */
function access(
  ram: GuestRam,
  ring: BackRing,
  index: number,
  response: Uint8Array | null,
): Uint8Array {
  const at = ENTRIES_AT + (index & (ringSize(ring) - 1)) * ring.entryBytes;
  const bytes = response ?? new Uint8Array(ring.entryBytes);
  for (let done = 0; done < bytes.length; ) {
    const within = (at + done) % PAGE_BYTES;
    const count = Math.min(bytes.length - done, PAGE_BYTES - within);
    const address = ring.pages[Math.floor((at + done) / PAGE_BYTES)]! + within;
    if (response) ram.write(address, response.subarray(done, done + count));
    else bytes.set(ram.view(address, count)!, done);
    done += count;
  }
  return bytes;
}
