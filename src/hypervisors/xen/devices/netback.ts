// Network back end: frames out of a guest's transmit ring, and into its receive ring after the wire's latency.

import type { Timer } from '../../../machine/clock.ts';
import type { XenDomain } from '../domain.ts';
import { bindHost, raise, unbindHost } from '../events.ts';
import { grantedPage, mapGrant, unmapGrant } from '../grants.ts';
import type { Store } from '../store/store.ts';
import {
  type BackRing,
  finalCheck,
  freshRing,
  putResponse,
  takeRequest,
  waitingRequests,
} from './back-ring.ts';
import { addBackend } from './xenbus.ts';

const PAGE_BYTES = 4096;
/** xen/include/public/io/netif.h */
const TX_REQUEST_BYTES = 12;
const RX_ENTRY_BYTES = 8;
const NETTXF_csum_blank = 1 << 0;
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
const PACKET_MAX = 0xffff;
/** Packets on their way to a card; more are lost, as on a wire. */
const PACKETS_MAX = 256;
/** A gigabit link with a switch in it, as the virtio card has it. */
const NANOS_PER_BYTE = 8;
const SEND_NANOS = 1_000;
const LINK_NANOS = 10_000;

interface Packet {
  at: number;
  bytes: Uint8Array[];
  /** The guest has left the checksum to whoever needs it: a guest that gets it is told so. */
  blank: boolean;
}

interface NetState {
  connected: boolean;
  port: number;
  refs: number[];
  tx: BackRing;
  rx: BackRing;
  /** In the order of arrival. */
  packets: Packet[];
  dropped: number;
}

interface Vif {
  readonly domain: XenDomain;
  readonly end: string;
  readonly state: NetState;
  readonly sending: Timer;
  readonly receiving: Timer;
  peer: Vif | null;
}

/** A card; `peer` is joined by `joinVifs`. */
export function addNetDevice(domain: XenDomain, store: Store, n: number): Vif {
  const end = `vif/${n}`;
  const state: NetState = {
    connected: false,
    port: 0,
    refs: [],
    tx: freshRing(),
    rx: freshRing(),
    packets: [],
    dropped: 0,
  };
  const { clock, snapshots } = domain.platform;
  const vif: Vif = {
    domain,
    end,
    state,
    sending: clock.timer(`xen.${end}.tx`, () => transmit(vif)),
    receiving: clock.timer(`xen.${end}.rx`, () => deliver(vif)),
    peer: null,
  };
  snapshots.addState(`xen.${end}`, state);
  domain.ends.set(end, () => notified(vif));
  addBackend(domain, store, {
    type: 'vif',
    id: n,
    backend: {
      handle: String(n),
      mac: macOf(n),
      'feature-rx-copy': '1',
      'feature-sg': '1',
      'feature-rx-notify': '1',
      'feature-no-csum-offload': '0',
    },
    frontend: { handle: String(n), mac: macOf(n), mtu: '1500' },
    connect: (front) => connect(vif, front),
    connected: () => ({ 'hotplug-status': 'connected' }),
    disconnect: () => disconnect(vif),
  });
  return vif;
}

export function joinVifs(a: Vif, b: Vif): void {
  a.peer = b;
  b.peer = a;
}

/** Xen's own prefix of addresses (00:16:3e); the last byte counts. */
const macOf = (n: number): string => `00:16:3e:00:00:${(n + 1).toString(16).padStart(2, '0')}`;

function connect(vif: Vif, front: (name: string) => string): boolean {
  const { domain, state, end } = vif;
  disconnect(vif);
  if (front('request-rx-copy') !== '1') return false;
  const refs = ['tx-ring-ref', 'rx-ring-ref'].map((name) => Number(front(name) || '-1'));
  const pages = refs.map((ref) => mapGrant(domain, ref));
  const port = Number(front('event-channel'));
  if (!pages.every((page) => page >= 0) || !bindHost(domain, port, end)) {
    refs.forEach((ref, n) => {
      if (pages[n]! >= 0) unmapGrant(domain, ref);
    });
    return false;
  }
  Object.assign(state.tx, { ...freshRing(), pages: [pages[0]!], entryBytes: TX_REQUEST_BYTES });
  Object.assign(state.rx, { ...freshRing(), pages: [pages[1]!], entryBytes: RX_ENTRY_BYTES });
  Object.assign(state, { connected: true, port, refs });
  notified(vif);
  return true;
}

function disconnect({ domain, state, end, sending, receiving }: Vif): void {
  if (!state.connected) return;
  sending.cancel();
  receiving.cancel();
  for (const ref of state.refs) unmapGrant(domain, ref);
  unbindHost(domain, state.port, end);
  Object.assign(state.tx, freshRing());
  Object.assign(state.rx, freshRing());
  Object.assign(state, { connected: false, port: 0, refs: [], packets: [] });
}

/** The guest has put packets to send, or buffers to receive into. */
function notified(vif: Vif): void {
  if (!vif.state.connected) return;
  scheduleSend(vif);
  if (vif.state.packets.length > 0) deliver(vif);
}

function scheduleSend({ domain, state, sending }: Vif): void {
  const { clock, ram } = domain.platform;
  if (sending.deadline() <= clock.now() + SEND_NANOS) return;
  if (waitingRequests(ram, state.tx) === 0 && !finalCheck(ram, state.tx)) return;
  sending.set(clock.now() + SEND_NANOS);
}

/** One packet a turn; the next goes when this one has left the card. */
function transmit(vif: Vif): void {
  const { domain, state, sending } = vif;
  const { ram, clock } = domain.platform;
  if (!state.connected) return;
  const packet = takePacket(vif);
  if (packet) {
    const length = packet.bytes.reduce((sum, { length: bytes }) => sum + bytes, 0);
    const sent = clock.now() + NANOS_PER_BYTE * length;
    if (vif.peer) arrive(vif.peer, { ...packet, at: sent + LINK_NANOS });
    if (waitingRequests(ram, state.tx) > 0 || finalCheck(ram, state.tx))
      sending.set(sent + SEND_NANOS);
  } else scheduleSend(vif);
}

interface TxSlot {
  readonly ref: number;
  readonly offset: number;
  readonly flags: number;
  readonly id: number;
  readonly size: number;
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

/** The first slot's size is that of the whole packet; those behind it say their own. Null: nothing to send. */
function takePacket(vif: Vif): Omit<Packet, 'at'> | null {
  const { domain, state } = vif;
  const { ram } = domain.platform;
  const head = takeRequest(ram, state.tx);
  if (!head) return null;
  const slots: TxSlot[] = [parseTx(head)];
  let extras = 0;
  let broken = false;
  for (let more = (slots[0]!.flags & NETTXF_extra_info) !== 0; more; extras++) {
    const extra = takeRequest(ram, state.tx);
    broken ||= !extra || extras >= SLOTS_MAX;
    more = !broken && ((extra?.[1] ?? 0) & XEN_NETIF_EXTRA_FLAG_MORE) !== 0;
  }
  while (!broken && slots[slots.length - 1]!.flags & NETTXF_more_data) {
    const next = slots.length < SLOTS_MAX ? takeRequest(ram, state.tx) : null;
    if (next) slots.push(parseTx(next));
    else broken = true;
  }
  const bytes = broken ? null : gather(domain, slots);
  answerSlots(vif, slots, extras, bytes ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
  if (bytes) return { bytes, blank: (slots[0]!.flags & NETTXF_csum_blank) !== 0 };
  state.dropped++;
  return { bytes: [], blank: false };
}

function gather(domain: XenDomain, slots: readonly TxSlot[]): Uint8Array[] | null {
  const behind = slots.slice(1).reduce((sum, { size }) => sum + size, 0);
  const first = slots[0]!.size - behind;
  if (first < 0 || slots[0]!.size > PACKET_MAX || slots[0]!.size < 14) return null;
  const pieces: Uint8Array[] = [];
  for (const [n, { ref, offset, size }] of slots.entries()) {
    const bytes = n === 0 ? first : size;
    if (offset + bytes > PAGE_BYTES) return null;
    const page = grantedPage(domain, ref, false);
    if (page < 0) return null;
    pieces.push(domain.platform.ram.read(page + offset, bytes)!);
  }
  return pieces;
}

function answerSlots(
  { domain, state }: Vif,
  slots: readonly TxSlot[],
  extras: number,
  status: number,
): void {
  let notify = false;
  const answer = (id: number, value: number) => {
    const bytes = new Uint8Array(4);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, id, true);
    view.setInt16(2, value, true);
    notify = putResponse(domain.platform.ram, state.tx, bytes) || notify;
  };
  slots.forEach(({ id }, n) => {
    answer(id, status);
    if (n === 0) for (let e = 0; e < extras; e++) answer(0, NETIF_RSP_NULL);
  });
  if (notify) raise(domain, state.port);
}

/** A packet enters the wire to this card. */
function arrive(vif: Vif, packet: Packet): void {
  const { state, receiving, domain } = vif;
  if (packet.bytes.length === 0) return;
  if (!state.connected || state.packets.length >= PACKETS_MAX) {
    state.dropped++;
    return;
  }
  state.packets.push(packet);
  receiving.set(Math.max(state.packets[0]!.at, domain.platform.clock.now()));
}

/** As many as have arrived and find buffers; without buffers they wait for the guest's next word. */
function deliver(vif: Vif): void {
  const { domain, state, receiving } = vif;
  const { ram, clock } = domain.platform;
  let notify = false;
  for (;;) {
    const first = state.packets[0];
    if (!first || !state.connected) break;
    if (first.at > clock.now()) {
      receiving.set(first.at);
      break;
    }
    const data = join(first.bytes);
    const needed = Math.max(1, Math.ceil(data.length / PAGE_BYTES));
    if (waitingRequests(ram, state.rx) < needed && !finalCheck(ram, state.rx, needed)) break;
    state.packets.shift();
    notify = store(vif, data, first.blank) || notify;
  }
  if (notify) raise(domain, state.port);
}

/** A page of the packet into each buffer. Answers whether the guest wants to hear. */
function store({ domain, state }: Vif, data: Uint8Array, blank: boolean): boolean {
  const { ram } = domain.platform;
  let notify = false;
  for (let at = 0; at < data.length; at += PAGE_BYTES) {
    const request = takeRequest(ram, state.rx);
    if (!request) break;
    const view = new DataView(request.buffer);
    const piece = data.subarray(at, at + PAGE_BYTES);
    const page = grantedPage(domain, view.getUint32(4, true), true);
    if (page >= 0) ram.write(page, piece);
    const flags =
      (at + PAGE_BYTES < data.length ? NETRXF_more_data : 0) |
      (at === 0 && blank ? NETRXF_csum_blank | NETRXF_data_validated : 0);
    const response = new Uint8Array(RX_ENTRY_BYTES);
    const out = new DataView(response.buffer);
    out.setUint16(0, view.getUint16(0, true), true);
    out.setUint16(4, flags, true);
    out.setInt16(6, page >= 0 ? piece.length : NETIF_RSP_ERROR, true);
    notify = putResponse(ram, state.rx, response) || notify;
  }
  return notify;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
