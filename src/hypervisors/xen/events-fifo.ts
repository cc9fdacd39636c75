// The FIFO ABI of event channels: a word per port, linked into sixteen queues per vCPU in order of arrival.

import {
  EVTCHN_FIFO_LINK_BITS,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHN_FIFO_PENDING,
  evtchnFifoControlBlock,
} from './abi/event-channel.ts';
import type { Channel, XenDomain } from './domain.ts';
import { markPending } from './upcall.ts';

const WORDS_PER_PAGE = 1024;
export const EVENT_PAGES_MAX = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE;
const LINK_MASK = (1 << EVTCHN_FIFO_LINK_BITS) - 1;
const HEAD = evtchnFifoControlBlock.wide.offsetOf('head');
const READY = evtchnFifoControlBlock.wide.offsetOf('ready');

/** Sets the pending bit; unless it is masked or in a queue already, the port goes to the end of its queue. */
export function raise(domain: XenDomain, port: number, channel: Channel): void {
  const at = wordOf(domain, port);
  if (at < 0) {
    channel.pending = true; // Announced when the guest has given a page for its word.
    return;
  }
  const { ram } = domain.platform;
  const word = ram.u32(at);
  const announced = bit(word, EVTCHN_FIFO_PENDING);
  ram.setU32(at, (word | (1 << EVTCHN_FIFO_PENDING)) >>> 0);
  if (announced && bit(word, EVTCHN_FIFO_LINKED)) return;
  enqueue(domain, port, channel);
}

export function unmask(domain: XenDomain, port: number, channel: Channel): void {
  const at = wordOf(domain, port);
  if (at < 0) return;
  const { ram } = domain.platform;
  ram.setU32(at, (ram.u32(at) & ~(1 << EVTCHN_FIFO_MASKED)) >>> 0);
  if (isPending(domain, port)) enqueue(domain, port, channel);
}

export function isPending(domain: XenDomain, port: number): boolean {
  const at = wordOf(domain, port);
  return at >= 0 && bit(domain.platform.ram.u32(at), EVTCHN_FIFO_PENDING);
}

/** Only pending goes: a port that is still linked is taken out by the guest, which finds nothing there. */
export function clear(domain: XenDomain, port: number): void {
  const at = wordOf(domain, port);
  if (at < 0) return;
  domain.platform.ram.setU32(at, (domain.platform.ram.u32(at) & ~(1 << EVTCHN_FIFO_PENDING)) >>> 0);
}

/** A page of words has come: what was raised before is announced now. */
export function pageAdded(domain: XenDomain, page: number): void {
  const { channels } = domain.state;
  for (let n = 0; n < WORDS_PER_PAGE; n++) {
    const port = page * WORDS_PER_PAGE + n;
    const channel = channels[port];
    if (!channel?.pending) continue;
    channel.pending = false;
    raise(domain, port, channel);
  }
}

function enqueue(domain: XenDomain, port: number, channel: Channel): void {
  const { ram } = domain.platform;
  const at = wordOf(domain, port);
  const word = ram.u32(at);
  if (bit(word, EVTCHN_FIFO_MASKED) || bit(word, EVTCHN_FIFO_LINKED)) return;
  const vcpu = domain.vcpus[channel.vcpu]!;
  const { controlBlock, tails } = vcpu.state;
  if (controlBlock < 0) return;
  ram.setU32(at, ((word & ~LINK_MASK) | (1 << EVTCHN_FIFO_LINKED)) >>> 0);
  const queue = channel.priority;
  const behind = linkBehind(domain, tails[queue]!, queue, port);
  tails[queue] = port;
  channel.lastQueue = queue;
  if (behind) return;
  ram.setU32(controlBlock + HEAD + queue * 4, port);
  const ready = ram.u32(controlBlock + READY);
  if (bit(ready, queue)) return;
  ram.setU32(controlBlock + READY, (ready | (1 << queue)) >>> 0);
  markPending(domain, vcpu);
}

/** False: the queue's last port has been taken by the guest, so the queue is empty and the new one is its head. */
function linkBehind(domain: XenDomain, tail: number, queue: number, port: number): boolean {
  const at = tail === 0 ? -1 : wordOf(domain, tail);
  if (at < 0 || tail === port || domain.state.channels[tail]?.lastQueue !== queue) return false;
  const word = domain.platform.ram.u32(at);
  if (!bit(word, EVTCHN_FIFO_LINKED)) return false;
  domain.platform.ram.setU32(at, ((word & ~LINK_MASK) | port) >>> 0);
  return true;
}

/** RAM address of the port's word, or -1. */
function wordOf({ state }: XenDomain, port: number): number {
  const page = state.eventPages[Math.floor(port / WORDS_PER_PAGE)];
  return page === undefined ? -1 : page + (port % WORDS_PER_PAGE) * 4;
}

const bit = (word: number, n: number): boolean => ((word >>> n) & 1) !== 0;
