// The way into the FIFO ABI: control blocks and pages of event words that the guest gives.

import { EINVAL, ENOSPC } from './abi/errno.ts';
import { EVTCHN_FIFO_PRIORITY_DEFAULT, evtchnFifoControlBlock } from './abi/event-channel.ts';
import type { XenDomain, XenVcpu } from './domain.ts';
import { channelAt } from './events.ts';
import { EVENT_PAGES_MAX, pageAdded } from './events-fifo.ts';
import * as twoLevel from './events-two-level.ts';

const PAGE_BYTES = 4096;

/** The vCPU's control block; with the first one, the domain leaves the 2-level ABI. Answers 0 or an error. */
export function initFifo(domain: XenDomain, vcpu: XenVcpu, frame: number, offset: number): number {
  if (offset > PAGE_BYTES - evtchnFifoControlBlock.wide.size || offset % 8 !== 0) return -EINVAL;
  if (vcpu.state.controlBlock >= 0) return -EINVAL;
  const page = domain.guest.frameAddress(frame);
  if (page < 0) return -EINVAL;
  domain.platform.ram.fill(page + offset, evtchnFifoControlBlock.wide.size, 0);
  vcpu.state.controlBlock = page + offset;
  vcpu.state.tails.fill(0);
  if (!domain.state.fifo) leaveTwoLevel(domain);
  return 0;
}

/** What is pending already is announced again when its word exists. */
function leaveTwoLevel(domain: XenDomain): void {
  const { state } = domain;
  for (let port = 1; port < state.channels.length; port++) {
    const channel = channelAt(domain, port);
    if (!channel) continue;
    channel.pending = twoLevel.isPending(domain, port);
    channel.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    channel.lastQueue = -1;
  }
  state.fifo = true;
  state.eventPages = [];
}

export function addEventPage(domain: XenDomain, frame: number): number {
  const { eventPages } = domain.state;
  if (eventPages.length >= EVENT_PAGES_MAX) return -ENOSPC;
  const page = domain.guest.frameAddress(frame);
  if (page < 0) return -EINVAL;
  eventPages.push(page);
  pageAdded(domain, eventPages.length - 1);
  return 0;
}
