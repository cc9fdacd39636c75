// What a lazy mode holds back: stores to page tables and descriptors, and a load of CR3, in order, until something settles them.

import type { VmiState, VmiVcpu, Waiting } from './vcpu.ts';
import { natively } from './vcpu.ts';

/** A guest that asks for more gets the older ones done. */
const WAITING_MAX = 64;
const PAGE = 4096;
const CR3 = 3;

/** Whether updates of this class wait now (VMI_LAZY_*). */
export const isLazy = ({ lazy }: VmiState, bits: number): boolean => (lazy & bits) !== 0;

/** A store of 4 or 8 bytes, now or later. 1: it faults, now. */
export function store(
  vcpu: VmiVcpu,
  va: number,
  bytes: 4 | 8,
  lo: number,
  hi: number,
  later: boolean,
): 0 | 1 {
  const { mmu } = vcpu.platform.cpu;
  const within = (va & (PAGE - 1)) + bytes <= PAGE;
  const at = later && within ? mmu.ramAddress(va, true, 'current') : -1;
  if (at >= 0) {
    hold(vcpu, { kind: 'store', at, bytes, lo, hi });
    return 0;
  }
  settle(vcpu);
  mmu.buf.setUint32(0, lo, true);
  mmu.buf.setUint32(4, hi, true);
  return mmu.write(va, bytes, 'current') ? 0 : 1;
}

export function loadCr3(vcpu: VmiVcpu, value: number, later: boolean): 0 | 1 {
  if (!later) {
    settle(vcpu);
    return natively(vcpu, 'write_control', CR3, value);
  }
  hold(vcpu, { kind: 'cr3', at: 0, bytes: 0, lo: value, hi: 0 });
  return 0;
}

/** All that waits is done, in order. False: nothing did. */
export function settle(vcpu: VmiVcpu): boolean {
  const { state, platform } = vcpu;
  if (state.waiting.length === 0) return false;
  for (const { kind, at, bytes, lo, hi } of state.waiting.splice(0)) {
    if (kind === 'cr3') natively(vcpu, 'write_control', CR3, lo);
    else if (bytes === 8) platform.ram.setU64(at, lo, hi);
    else platform.ram.setU32(at, lo);
  }
  return true;
}

function hold(vcpu: VmiVcpu, one: Waiting): void {
  if (vcpu.state.waiting.length >= WAITING_MAX) settle(vcpu);
  vcpu.state.waiting.push(one);
}
