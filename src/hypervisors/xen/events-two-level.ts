// The 2-level ABI of event channels: a bit per port in shared_info, a bit per word of bits in vcpu_info.

import { EVTCHN_2L_NR_CHANNELS, sharedInfo, vcpuInfo } from './abi/xen.ts';
import type { Channel, XenDomain } from './domain.ts';
import { markPending } from './upcall.ts';

/** Where the bits are, and how many ports share a word: 2 to the power of `wordShift`. */
const bitsOf = (width: 'wide' | 'narrow') => ({
  ports: EVTCHN_2L_NR_CHANNELS[width],
  pending: sharedInfo[width].offsetOf('evtchn_pending'),
  mask: sharedInfo[width].offsetOf('evtchn_mask'),
  selector: vcpuInfo[width].offsetOf('evtchn_pending_sel'),
  wordShift: width === 'wide' ? 6 : 5,
});
const WIDE = bitsOf('wide');
const NARROW = bitsOf('narrow');

/** Nothing happens if the port was pending already. */
export function raise(domain: XenDomain, port: number, { vcpu }: Channel): void {
  const { ports, pending, mask } = bitsFor(domain);
  if (port >= ports) return;
  const { ram } = domain.platform;
  const byte = domain.state.sharedInfo + (port >>> 3);
  const bit = 1 << (port & 7);
  const old = ram.u8(byte + pending);
  if (old & bit) return;
  ram.setU8(byte + pending, old | bit);
  if ((ram.u8(byte + mask) & bit) === 0) select(domain, port, vcpu);
}

/** With the mask gone, an event that came under it is announced. */
export function unmask(domain: XenDomain, port: number, { vcpu }: Channel): void {
  const { state } = domain;
  const bits = bitsFor(domain);
  if (port >= bits.ports) return;
  if (!clearBit(domain, state.sharedInfo + bits.mask + (port >>> 3), port)) return;
  if (isPending(domain, port)) select(domain, port, vcpu);
}

/** False, too, if the guest's word size has no such port. */
export function isPending(domain: XenDomain, port: number): boolean {
  const { ports, pending } = bitsFor(domain);
  return port < ports && testBit(domain, domain.state.sharedInfo + pending + (port >>> 3), port);
}

export function clear(domain: XenDomain, port: number): void {
  const { ports, pending } = bitsFor(domain);
  if (port < ports) clearBit(domain, domain.state.sharedInfo + pending + (port >>> 3), port);
}

/** The vCPU's selector says which word of shared_info to look at. */
function select(domain: XenDomain, port: number, id: number): void {
  const vcpu = domain.vcpus[id]!;
  const { selector, wordShift } = bitsFor(domain);
  const word = port >>> wordShift;
  if (setBit(domain, vcpu.state.info + selector + (word >>> 3), word)) markPending(domain, vcpu);
}

const bitsFor = ({ state }: XenDomain) => (state.wideShared ? WIDE : NARROW);

/** `bit` counts on from earlier bytes. */
function testBit({ platform }: XenDomain, at: number, bit: number): boolean {
  return ((platform.ram.u8(at) >>> (bit & 7)) & 1) !== 0;
}

/** Whether the bit has changed. */
function setBit({ platform }: XenDomain, at: number, bit: number): boolean {
  const old = platform.ram.u8(at);
  const mask = 1 << (bit & 7);
  if (old & mask) return false;
  platform.ram.setU8(at, old | mask);
  return true;
}

function clearBit({ platform }: XenDomain, at: number, bit: number): boolean {
  const old = platform.ram.u8(at);
  const mask = 1 << (bit & 7);
  if ((old & mask) === 0) return false;
  platform.ram.setU8(at, old & ~mask);
  return true;
}
