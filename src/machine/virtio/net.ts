// Virtio network card: frames out at wire speed, frames in after the wire's latency; a link joins two cards of a machine.

import { defineVirtio, VIRTIO_F_VERSION_1, type VirtioPort } from './define.ts';
import type { Chain } from './queue.ts';
import { gather, scatter, slice, totalBytes } from './segments.ts';
import { type ServiceState, serve, serviceState } from './service.ts';

/** Feature bits (virtio 1.2 5.1.3). */
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;
export const VIRTIO_NET_S_LINK_UP = 1;

const RECEIVE = 0;
const TRANSMIT = 1;
/** struct virtio_net_hdr (5.1.6), with `num_buffers` and, in the legacy form without merging, without (5.1.6.1). */
const HEADER_BYTES = 12;
const LEGACY_HEADER_BYTES = 10;
/** Neither checksums nor segmentation are offered: an Ethernet frame with a VLAN tag is the longest. */
const FRAME_MAX = 1518;
/** Frames on their way to a card; more are lost, as on a wire. */
const FRAMES_MAX = 256;
/** Buffers that one frame may be spread over. */
const MERGE_MAX = 64;
/** A gigabit link with a switch in it. */
const NANOS_PER_BYTE = 8;
const SEND_NANOS = 1_000;
const LINK_NANOS = 10_000;
/** Between two frames handed to a driver. */
const RECEIVE_NANOS = 500;

interface Frame {
  /** When it reaches the card, on the machine's clock. */
  at: number;
  bytes: number[];
}

export interface NetState {
  readonly sending: ServiceState;
  /** In the order of arrival. */
  readonly frames: Frame[];
  sent: number;
  received: number;
  dropped: number;
}

export interface NetNeeds {
  /** Six bytes. */
  readonly mac: readonly number[];
}

export interface NetFace {
  /** Where sent frames go; without it they go nowhere. */
  connect(send: (frame: Uint8Array) => void): void;
  /** A frame enters the wire now. */
  receive(frame: Uint8Array): void;
  counters(): { readonly sent: number; readonly received: number; readonly dropped: number };
}

/** A cable between two cards. */
export function joinNics(a: NetFace, b: NetFace): void {
  a.connect((frame) => b.receive(frame));
  b.connect((frame) => a.receive(frame));
}

export const virtioNet = defineVirtio({
  name: 'virtio-net',
  ref: 'virtio 1.2 5.1',
  deviceId: 1,
  transitionalId: 0x1000,
  pciClass: 0x020000,
  queues: [256, 256],
  state: (): NetState => ({
    sending: serviceState(),
    frames: [],
    sent: 0,
    received: 0,
    dropped: 0,
  }),
  plug({ state, port, mac }: { state: NetState; port: VirtioPort } & NetNeeds) {
    const config = Uint8Array.of(...mac.slice(0, 6), VIRTIO_NET_S_LINK_UP, 0);
    let send: ((frame: Uint8Array) => void) | null = null;
    const sending = serve(port, state.sending, {
      queue: TRANSMIT,
      latency: (chain) =>
        SEND_NANOS + NANOS_PER_BYTE * Math.min(totalBytes(chain.readable), FRAME_MAX),
      complete(chain) {
        const frame = sentFrame(port, chain);
        if (frame === null) state.dropped++;
        else {
          state.sent++;
          send?.(frame);
        }
        return 0;
      },
    });
    const timer = port.clock.timer(`${port.id}.receive`, () => deliver());
    /** One frame a turn, if it has arrived and finds buffers. */
    const deliver = () => {
      const { clock } = port;
      const first = state.frames[0];
      if (!first || !port.running()) return;
      if (first.at <= clock.now()) {
        const outcome = store(port, first.bytes);
        if (outcome === 'wait') return; // The driver's next notification goes on from here.
        state.frames.shift();
        if (outcome === 'stored') state.received++;
        else state.dropped++;
      }
      const next = state.frames[0];
      if (next) timer.set(Math.max(next.at, clock.now() + RECEIVE_NANOS));
    };
    const face: NetFace = {
      connect(to) {
        send = to;
      },
      receive(frame) {
        if (!port.running() || state.frames.length >= FRAMES_MAX || frame.length > FRAME_MAX) {
          state.dropped++;
          return;
        }
        state.frames.push({ at: port.clock.now() + LINK_NANOS, bytes: Array.from(frame) });
        if (state.frames.length === 1) timer.set(state.frames[0]!.at);
      },
      counters: () => ({ sent: state.sent, received: state.received, dropped: state.dropped }),
    };
    return {
      features: [VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_MRG_RXBUF],
      config: () => config,
      notified(queue: number) {
        if (queue === TRANSMIT) sending.kick();
        else deliver();
      },
      reset() {
        sending.reset();
        timer.cancel();
        state.frames.length = 0;
      },
      face,
    };
  },
});

function headerBytes(port: VirtioPort): number {
  const long = port.has(VIRTIO_F_VERSION_1) || port.has(VIRTIO_NET_F_MRG_RXBUF);
  return long ? HEADER_BYTES : LEGACY_HEADER_BYTES;
}

/** The frame of a transmitted buffer; null when it is none. */
function sentFrame(port: VirtioPort, chain: Chain): Uint8Array | null {
  const header = headerBytes(port);
  const length = totalBytes(chain.readable) - header;
  if (length <= 0 || length > FRAME_MAX) return null;
  return gather(port.ram(), slice(chain.readable, header, length));
}

/** Puts a frame into receive buffers: one, or as many as it takes where they may be merged (5.1.6.4). */
function store(port: VirtioPort, frame: readonly number[]): 'stored' | 'dropped' | 'wait' {
  const queue = port.queue(RECEIVE);
  const header = headerBytes(port);
  const merge = port.has(VIRTIO_NET_F_MRG_RXBUF);
  const bytes = new Uint8Array(header + frame.length);
  bytes.set(frame, header);
  const chains: Chain[] = [];
  let room = 0;
  while (room < bytes.length) {
    const chain = chains.length < MERGE_MAX ? queue.pop() : null;
    if (chain === null) {
      queue.unpop(chains.length);
      return chains.length < MERGE_MAX ? 'wait' : 'dropped';
    }
    chains.push(chain);
    room += totalBytes(chain.writable);
    if (room < header) {
      port.fail(`a receive buffer has room for ${room} bytes, and its header takes ${header}`);
      return 'wait';
    }
    if (!merge && room < bytes.length) {
      queue.unpop(1);
      return 'dropped';
    }
  }
  if (header === HEADER_BYTES) bytes[LEGACY_HEADER_BYTES] = chains.length; // num_buffers, below 256.
  let at = 0;
  chains.forEach(({ head, writable }, i) => {
    const written = scatter(port.ram(), writable, bytes.subarray(at));
    queue.stage(i, head, written);
    at += written;
  });
  queue.publish(chains.length);
  queue.signal();
  return 'stored';
}
