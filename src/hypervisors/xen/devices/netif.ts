// The network protocol's slots: packets out of a transmit ring, with an answer to each slot, and into a receive ring.

import type { XenDomain } from '../domain.ts';
import { grantedPage } from '../grants.ts';
import { type BackRing, putResponse, takeRequest } from './back-ring.ts';

const PAGE_BYTES = 4096;
/** xen/include/public/io/netif.h */
export const TX_REQUEST_BYTES = 12;
export const RX_ENTRY_BYTES = 8;
const NETTXF_csum_blank = 1 << 0;
const NETTXF_data_validated = 1 << 1;
const NETTXF_more_data = 1 << 2;
const NETTXF_extra_info = 1 << 3;
const NETRXF_data_validated = 1 << 0;
const NETRXF_csum_blank = 1 << 1;
const NETRXF_more_data = 1 << 2;
const XEN_NETIF_EXTRA_FLAG_MORE = 1 << 0;
const NETIF_RSP_ERROR = -1;
const NETIF_RSP_OKAY = 0;
/** For slots that carried extra information and no data. */
const NETIF_RSP_NULL = 1;
/** Slots of one packet that a back end must take (XEN_NETIF_NR_SLOTS_MIN). */
const SLOTS_MAX = 18;
/** A packet ends here even if its slots go on: no turn does unbounded work. */
const SLOTS_TAKEN_MAX = 256;
const PACKET_MAX = 0xffff;
const ETHERNET_HEADER = 14;

export interface Packet {
  bytes: Uint8Array;
  /** The sender has left the checksum to whoever needs it. */
  blank: boolean;
  /** The sender vouches for the packet: its receiver need not look at the checksum. */
  validated: boolean;
}

export interface Taken {
  /** Null: its slots made no packet. */
  readonly packet: Packet | null;
  /** The guest wants to hear of the answers. */
  readonly notify: boolean;
}

interface TxSlot {
  readonly ref: number;
  readonly offset: number;
  readonly flags: number;
  readonly id: number;
  readonly size: number;
}

/** The next packet of a transmit ring, every slot of it answered. Null: nothing is there. */
export function takePacket(domain: XenDomain, ring: BackRing): Taken | null {
  const { ram } = domain.platform;
  const head = takeRequest(ram, ring);
  if (!head) return null;
  const slots: TxSlot[] = [parseTx(head)];
  let extras = 0;
  for (let more = slots[0]!.flags & NETTXF_extra_info; more; ) {
    const extra = extras < SLOTS_TAKEN_MAX ? takeRequest(ram, ring) : null;
    if (!extra) break;
    extras++;
    more = extra[1]! & XEN_NETIF_EXTRA_FLAG_MORE;
  }
  let whole = true;
  while (slots[slots.length - 1]!.flags & NETTXF_more_data) {
    const next = slots.length < SLOTS_TAKEN_MAX ? takeRequest(ram, ring) : null;
    whole = next !== null;
    if (!next) break;
    slots.push(parseTx(next));
  }
  // Extra information is for features that this end does not offer: segmentation, multicast, hashes.
  const wanted = (slots[0]!.flags & NETTXF_extra_info) === 0;
  const bytes = whole && wanted && slots.length <= SLOTS_MAX ? gather(domain, slots) : null;
  const notify = answerSlots(domain, ring, slots, extras, bytes ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
  if (!bytes) return { packet: null, notify };
  const { flags } = slots[0]!;
  const blank = (flags & NETTXF_csum_blank) !== 0;
  const validated = blank || (flags & NETTXF_data_validated) !== 0;
  return { packet: { bytes, blank, validated }, notify };
}

function parseTx(bytes: Uint8Array): TxSlot {
  const view = new DataView(bytes.buffer);
  return {
    ref: view.getUint32(0, true),
    offset: view.getUint16(4, true),
    flags: view.getUint16(6, true),
    id: view.getUint16(8, true),
    size: view.getUint16(10, true),
  };
}

/** The first slot's size is that of the whole packet; those behind it say their own. */
function gather(domain: XenDomain, slots: readonly TxSlot[]): Uint8Array | null {
  const total = slots[0]!.size;
  const behind = slots.slice(1).reduce((sum, { size }) => sum + size, 0);
  if (behind > total || total > PACKET_MAX || total < ETHERNET_HEADER) return null;
  const out = new Uint8Array(total);
  let at = 0;
  for (const [n, { ref, offset, size }] of slots.entries()) {
    const bytes = n === 0 ? total - behind : size;
    if (offset + bytes > PAGE_BYTES) return null;
    const page = grantedPage(domain, ref, false);
    const piece = page < 0 ? null : domain.platform.ram.view(page + offset, bytes);
    if (!piece) return null;
    out.set(piece, at);
    at += bytes;
  }
  return out;
}

/** In the order of the slots: the first one, its extra information, those behind. */
function answerSlots(
  domain: XenDomain,
  ring: BackRing,
  slots: readonly TxSlot[],
  extras: number,
  status: number,
): boolean {
  let notify = false;
  const answer = (id: number, value: number) => {
    const bytes = new Uint8Array(4);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, id, true);
    view.setInt16(2, value, true);
    notify = putResponse(domain.platform.ram, ring, bytes) || notify;
  };
  slots.forEach(({ id }, n) => {
    answer(id, status);
    if (n === 0) for (let e = 0; e < extras; e++) answer(0, NETIF_RSP_NULL);
  });
  return notify;
}

/** Receive requests that a packet takes: a page of it into each. */
export const slotsFor = ({ bytes }: Packet): number =>
  Math.max(1, Math.ceil(bytes.length / PAGE_BYTES));

/** The packet into as many requests, which are there. Answers whether the guest wants to hear. */
export function putPacket(domain: XenDomain, ring: BackRing, packet: Packet): boolean {
  const { ram } = domain.platform;
  const { bytes, blank, validated } = packet;
  let notify = false;
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const request = takeRequest(ram, ring);
    if (!request) break;
    const view = new DataView(request.buffer);
    const piece = bytes.subarray(at, at + PAGE_BYTES);
    const page = grantedPage(domain, view.getUint32(4, true), true);
    if (page >= 0) ram.write(page, piece);
    const flags =
      (at + PAGE_BYTES < bytes.length ? NETRXF_more_data : 0) |
      (at === 0 && blank ? NETRXF_csum_blank : 0) |
      (at === 0 && validated ? NETRXF_data_validated : 0);
    const response = new Uint8Array(RX_ENTRY_BYTES);
    const out = new DataView(response.buffer);
    out.setUint16(0, view.getUint16(0, true), true);
    out.setUint16(4, flags, true);
    out.setInt16(6, page >= 0 ? piece.length : NETIF_RSP_ERROR, true);
    notify = putResponse(ram, ring, response) || notify;
  }
  return notify;
}
