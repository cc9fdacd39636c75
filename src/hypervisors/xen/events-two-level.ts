// The 2-level ABI of event channels: a bit per port in shared_info, a bit per word of bits in vcpu_info.

import { EVTCHN_2L_NR_CHANNELS, sharedInfo, vcpuInfo } from './abi/xen.ts';
import type { Channel, XenDomain } from './domain.ts';
import { markPending } from './upcall.ts';

const SELECTOR = {
  wide: vcpuInfo.wide.offsetOf('evtchn_pending_sel'),
  narrow: vcpuInfo.narrow.offsetOf('evtchn_pending_sel'),
} as const;
const bitsOf = (width: 'wide' | 'narrow') => ({
  evtchn_pending: sharedInfo[width].offsetOf('evtchn_pending'),
  evtchn_mask: sharedInfo[width].offsetOf('evtchn_mask'),
});
const BITS = { wide: bitsOf('wide'), narrow: bitsOf('narrow') } as const;

/** False: the port was pending already. */
export function raise(domain: XenDomain, port: number, { vcpu }: Channel): void {
  const pending = place(domain, 'evtchn_pending', port);
  if (pending < 0 || !setBit(domain, pending, port)) return;
  if (isMasked(domain, port)) return;
  select(domain, port, vcpu);
}

/** With the mask gone, an event that came under it is announced. */
export function unmask(domain: XenDomain, port: number, { vcpu }: Channel): void {
  const mask = place(domain, 'evtchn_mask', port);
  if (mask < 0 || !clearBit(domain, mask, port)) return;
  if (isPending(domain, port)) select(domain, port, vcpu);
}

export function isPending(domain: XenDomain, port: number): boolean {
  return testBit(domain, place(domain, 'evtchn_pending', port), port);
}

export function isMasked(domain: XenDomain, port: number): boolean {
  return testBit(domain, place(domain, 'evtchn_mask', port), port);
}

export function clear(domain: XenDomain, port: number): void {
  const pending = place(domain, 'evtchn_pending', port);
  if (pending >= 0) clearBit(domain, pending, port);
}

/** The vCPU's selector says which word of shared_info to look at. */
function select(domain: XenDomain, port: number, id: number): void {
  const vcpu = domain.vcpus[id]!;
  const { wideShared } = domain.state;
  const word = Math.floor(port / (wideShared ? 64 : 32));
  const at = vcpu.state.info + SELECTOR[wideShared ? 'wide' : 'narrow'] + (word >>> 3);
  if (setBit(domain, at, word)) markPending(domain, vcpu);
}

/** RAM address of the byte with the port's bit, -1 if the guest's word size has no such port. */
function place({ state }: XenDomain, bits: 'evtchn_pending' | 'evtchn_mask', port: number): number {
  const width = state.wideShared ? 'wide' : 'narrow';
  if (port >= EVTCHN_2L_NR_CHANNELS[width]) return -1;
  return state.sharedInfo + BITS[width][bits] + (port >>> 3);
}

function testBit({ platform }: XenDomain, at: number, bit: number): boolean {
  return at >= 0 && ((platform.ram.u8(at) >>> (bit & 7)) & 1) !== 0;
}

/** Whether the bit has changed. */
function setBit(domain: XenDomain, at: number, bit: number): boolean {
  if (testBit(domain, at, bit)) return false;
  domain.platform.ram.setU8(at, domain.platform.ram.u8(at) | (1 << (bit & 7)));
  return true;
}

function clearBit(domain: XenDomain, at: number, bit: number): boolean {
  if (!testBit(domain, at, bit)) return false;
  domain.platform.ram.setU8(at, domain.platform.ram.u8(at) & ~(1 << (bit & 7)));
  return true;
}
