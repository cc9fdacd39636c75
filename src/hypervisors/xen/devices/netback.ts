// Network back end: frames out of a guest's transmit ring, and into its receive ring after the wire's latency.

import { NEVER, type Timer } from '../../../machine/clock.ts';
import type { XenDomain } from '../domain.ts';
import { bindHost, raise, unbindHost } from '../events.ts';
import { mapGrant, unmapGrant } from '../grants.ts';
import type { Store } from '../store/store.ts';
import { type BackRing, finalCheck, freshRing, waitingRequests } from './back-ring.ts';
import { fillBlankChecksum } from './blank-checksum.ts';
import {
  type Packet,
  putPacket,
  RX_ENTRY_BYTES,
  slotsFor,
  TX_REQUEST_BYTES,
  takePacket,
} from './netif.ts';
import { type Backend, createBackend } from './xenbus.ts';

/** Packets on their way to a card, or that wait for buffers; more are lost, as on a wire. */
const PACKETS_MAX = 256;
/** A gigabit link with a switch in it, as the virtio card has it. */
const NANOS_PER_BYTE = 8;
const SEND_NANOS = 1_000;
const LINK_NANOS = 10_000;

interface Arrival extends Packet {
  at: number;
}

interface NetState {
  connected: boolean;
  port: number;
  refs: number[];
  tx: BackRing;
  rx: BackRing;
  /** The front end takes packets of more than one page; it says when there are new buffers; it reads blank checksums. */
  scatter: boolean;
  rxNotify: boolean;
  readsBlank: boolean;
  /** In the order of arrival. */
  packets: Arrival[];
  dropped: number;
}

export interface Vif {
  readonly domain: XenDomain;
  readonly end: string;
  readonly state: NetState;
  readonly sending: Timer;
  readonly receiving: Timer;
  readonly backend: Backend;
  peer: Vif | null;
}

/** A card; `peer` is joined by `joinVifs`. */
export function netDevice(domain: XenDomain, store: Store, n: number): Vif {
  const end = `vif/${n}`;
  const state: NetState = {
    connected: false,
    port: 0,
    refs: [],
    tx: freshRing(),
    rx: freshRing(),
    scatter: false,
    rxNotify: false,
    readsBlank: true,
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
    backend: backendOf(domain, () => vif, store, n),
    peer: null,
  };
  snapshots.addState(`xen.${end}`, state);
  domain.ends.set(end, () => notified(vif));
  return vif;
}

function backendOf(domain: XenDomain, vif: () => Vif, store: Store, n: number): Backend {
  return createBackend(domain, store, {
    type: 'vif',
    id: n,
    backend: {
      handle: String(n),
      mac: macOf(n),
      'feature-rx-copy': '1',
      'feature-sg': '1',
      'feature-no-csum-offload': '0',
    },
    frontend: { handle: String(n), mac: macOf(n), mtu: '1500' },
    connect: (front) => connect(vif(), front),
    connected: () => ({ 'hotplug-status': 'connected' }),
    disconnect: () => disconnect(vif()),
  });
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
  Object.assign(state, {
    ...{ connected: true, port, refs },
    scatter: front('feature-sg') === '1',
    rxNotify: front('feature-rx-notify') === '1',
    readsBlank: front('feature-no-csum-offload') !== '1',
  });
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

/** A card that is at it goes on by itself. */
function scheduleSend({ domain, state, sending }: Vif): void {
  const { clock, ram } = domain.platform;
  if (sending.deadline() !== NEVER) return;
  if (waitingRequests(ram, state.tx) === 0 && !finalCheck(ram, state.tx)) return;
  sending.set(clock.now() + SEND_NANOS);
}

/** One packet a turn; the next goes when this one has left the card. */
function transmit(vif: Vif): void {
  const { domain, state, sending } = vif;
  const { ram, clock } = domain.platform;
  if (!state.connected) return;
  const taken = takePacket(domain, state.tx);
  if (!taken) return scheduleSend(vif);
  if (taken.notify) raise(domain, state.port);
  const { packet } = taken;
  if (!packet) state.dropped++;
  const sent = clock.now() + NANOS_PER_BYTE * (packet?.bytes.length ?? 0);
  if (packet && vif.peer) arrive(vif.peer, { ...packet, at: sent + LINK_NANOS });
  if (waitingRequests(ram, state.tx) > 0 || finalCheck(ram, state.tx))
    sending.set(sent + SEND_NANOS);
  else if (sent > clock.now()) sending.set(sent); // The card is busy until then.
}

/** A packet enters the wire to this card. */
function arrive(vif: Vif, packet: Arrival): void {
  const { state, receiving, domain } = vif;
  const fits = state.scatter || slotsFor(packet) === 1;
  if (!state.connected || !fits || state.packets.length >= PACKETS_MAX) {
    state.dropped++;
    return;
  }
  if (packet.blank && !state.readsBlank) {
    fillBlankChecksum(packet.bytes);
    packet.blank = false;
  }
  state.packets.push(packet);
  receiving.set(Math.max(state.packets[0]!.at, domain.platform.clock.now()));
}

/**
 * As many as have arrived and find buffers. Without buffers they wait for the guest's next word, if it has promised one
 * (netif.h, feature-rx-notify), and are lost otherwise.
 */
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
    const needed = slotsFor(first);
    const room = waitingRequests(ram, state.rx) >= needed || finalCheck(ram, state.rx, needed);
    if (!room && state.rxNotify) break;
    state.packets.shift();
    if (room) notify = putPacket(domain, state.rx, first) || notify;
    else state.dropped++;
  }
  if (notify) raise(domain, state.port);
}
