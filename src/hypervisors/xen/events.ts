// Event channels: ports and who hears at each end, whichever of the two ABIs carries their bits.

import { ENOSPC } from './abi/errno.ts';
import {
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from './abi/event-channel.ts';
import { DOMID_CONTROL } from './abi/xen.ts';
import { type Channel, MAX_PORT, NOWHERE, type XenDomain, type XenVcpu } from './domain.ts';
import * as fifo from './events-fifo.ts';
import * as twoLevel from './events-two-level.ts';
import { wakeUp } from './upcall.ts';

const closed = (): Channel => ({
  status: EVTCHNSTAT_closed,
  vcpu: 0,
  virq: 0,
  remoteDom: 0,
  remotePort: 0,
  end: '',
  priority: EVTCHN_FIFO_PRIORITY_DEFAULT,
  lastQueue: -1,
  pending: false,
});

/** The channel in use behind a port that a guest named; null if there is none. Port 0 never is. */
export function channelAt({ state }: XenDomain, port: number): Channel | null {
  const channel = port > 0 ? state.channels[port] : undefined;
  return channel && channel.status !== EVTCHNSTAT_closed ? channel : null;
}

/** Xen makes ports by the bucket, and those of a bucket exist before anybody opens them (Xen 4.17, EVTCHNS_PER_BUCKET). */
const PORTS_PER_BUCKET = 64;

export function hasPort({ state }: XenDomain, port: number): boolean {
  return port < Math.max(1, Math.ceil(state.channels.length / PORTS_PER_BUCKET)) * PORTS_PER_BUCKET;
}

/** Opens the lowest free port and answers its number, or an error below zero. */
export function openPort(domain: XenDomain, channel: Partial<Channel>): number {
  const { channels } = domain.state;
  if (channels.length === 0) channels.push(closed());
  let port = channels.findIndex(({ status }, n) => n > 0 && status === EVTCHNSTAT_closed);
  if (port < 0) port = channels.length;
  if (port > MAX_PORT) return -ENOSPC;
  channels[port] = { ...closed(), ...channel };
  // A port that is opened again carries nothing of what it was before.
  if (domain.state.fifo) fifo.clear(domain, port);
  else twoLevel.clear(domain, port);
  return port;
}

/** A port whose other end is the host: `end` names who hears there. Answers the port. */
export function openHostPort(domain: XenDomain, end: string): number {
  return openPort(domain, {
    status: EVTCHNSTAT_interdomain,
    remoteDom: DOMID_CONTROL,
    remotePort: 1,
    end,
  });
}

/** A back end binds to a port that the guest has opened for it: whatever the guest sends goes to `end`. False: no such port. */
export function bindHost(domain: XenDomain, port: number, end: string): boolean {
  const channel = channelAt(domain, port);
  if (channel?.status !== EVTCHNSTAT_unbound || channel.remoteDom !== DOMID_CONTROL) return false;
  channel.status = EVTCHNSTAT_interdomain;
  channel.remotePort = 1;
  channel.end = end;
  return true;
}

/** The back end lets go: the guest's port waits for somebody again. */
export function unbindHost(domain: XenDomain, port: number, end: string): void {
  const channel = channelAt(domain, port);
  if (channel?.end !== end) return;
  channel.status = EVTCHNSTAT_unbound;
  channel.end = '';
  channel.remotePort = 0;
}

export function closePort(domain: XenDomain, port: number): void {
  const channel = channelAt(domain, port);
  if (!channel) return;
  const peer =
    channel.end === '' && channel.status === EVTCHNSTAT_interdomain ? channel.remotePort : 0;
  if (channel.status === EVTCHNSTAT_virq) {
    for (const { virqPorts } of domain.state.vcpus) {
      if (virqPorts[channel.virq] === port) virqPorts[channel.virq] = 0;
    }
  }
  domain.state.channels[port] = closed();
  if (peer !== 0 && peer !== port) unbindPeer(domain, peer);
}

/** All ports are closed, those of console and store as well; the FIFO ABI is given up. */
export function closeAllPorts(domain: XenDomain): void {
  for (let port = 1; port < domain.state.channels.length; port++) closePort(domain, port);
  domain.state.fifo = false;
  domain.state.eventPages = [];
  for (const { state } of domain.vcpus) {
    state.controlBlock = NOWHERE;
    state.tails.fill(0);
  }
}

/** The other end of a channel within the domain falls back to waiting for somebody. */
function unbindPeer(domain: XenDomain, port: number): void {
  const channel = channelAt(domain, port);
  if (!channel) return;
  channel.status = EVTCHNSTAT_unbound;
  channel.remotePort = 0;
}

/** The guest's end: pending, and if it is not masked, its vCPU is told. */
export function raise(domain: XenDomain, port: number): void {
  const channel = channelAt(domain, port);
  if (channel) raiseAt(domain, port, channel);
}

function raiseAt(domain: XenDomain, port: number, channel: Channel): void {
  if (domain.state.fifo) fifo.raise(domain, port, channel);
  else twoLevel.raise(domain, port, channel);
  wakePolls(domain, port);
}

/** The guest has sent to the port. */
export function send(domain: XenDomain, port: number, channel: Channel): void {
  if (channel.status === EVTCHNSTAT_ipi) raiseAt(domain, port, channel);
  else if (channel.end !== '') domain.ends.get(channel.end)?.();
  else if (channel.status === EVTCHNSTAT_interdomain) raise(domain, channel.remotePort);
}

export function unmask(domain: XenDomain, port: number): void {
  const channel = domain.state.channels[port] ?? closed();
  if (domain.state.fifo) fifo.unmask(domain, port, channel);
  else twoLevel.unmask(domain, port, channel);
}

export function isPending(domain: XenDomain, port: number): boolean {
  return domain.state.fifo ? fifo.isPending(domain, port) : twoLevel.isPending(domain, port);
}

export function raiseVirq(domain: XenDomain, vcpu: XenVcpu, virq: number): void {
  const port = vcpu.state.virqPorts[virq]!;
  if (port !== 0) raise(domain, port);
}

/** Whoever polls for the port goes on, masked or not. */
function wakePolls(domain: XenDomain, port: number): void {
  const { vcpus } = domain;
  for (let n = 0; n < vcpus.length; n++) {
    const { polls } = vcpus[n]!.state;
    if (polls.length !== 0 && polls.includes(port)) wakeUp(domain, vcpus[n]!);
  }
}
