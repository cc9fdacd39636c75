// Descriptor tables of PV guests: what a descriptor may say, and what Xen makes of it; frames of descriptors.

import {
  FIRST_RESERVED_GDT_ENTRY,
  FLAT_RING1_CS,
  FLAT_RING3_CS64,
  HYPERVISOR_VIRT_START_PAE,
} from './abi.ts';

/** Second word of a descriptor. SDM 3A 3.4.5. */
const DESC_S = 1 << 12;
const DESC_P = 1 << 15;
const DPL_SHIFT = 13;
const DESC_DPL = 3 << DPL_SHIFT;
/** Bits of a call gate's second word that must be 0. */
const GATE_RESERVED = 0xe0;
const DESC_TYPE = 0xf;
const DESC_L = 1 << 21;
const DESC_G = 1 << 23;
const DESC_BASE_HI = 0xff0000ff;
const DESC_LIMIT_HI = 0xf0000;
const TYPE_CALL_GATE = 0xc;

export interface CheckedDescriptor {
  lo: number;
  hi: number;
}

/**
 * Privilege is lowered to ring 3 where both kernel and user of a 64-bit guest run, to ring 1 at least in a 32-bit one; a call
 * gate may lead to no inner ring; no other system descriptor is for guests. False: refused. (Xen 4.17, check_descriptor.)
 */
export function fixDescriptor(d: CheckedDescriptor, narrow: boolean): boolean {
  if ((d.hi & DESC_P) === 0) return true;
  if ((d.hi & DESC_S) === 0) return fixGate(d, narrow);
  if (narrow) {
    if (d.hi & DESC_L) return false;
    widenLimit(d);
  }
  d.hi = (d.hi & ~DESC_DPL) | (dplFor(d, narrow) << DPL_SHIFT);
  return true;
}

function dplFor({ hi }: CheckedDescriptor, narrow: boolean): number {
  return guestSelector((hi & DESC_DPL) >> DPL_SHIFT, narrow);
}

/** Older kernels end their segments where Xen began on 32-bit machines; the table that they read there goes on. */
function widenLimit(d: CheckedDescriptor): void {
  if ((d.hi & DESC_BASE_HI) !== 0 || d.lo >>> 16 !== 0) return;
  const limit = ((d.hi & DESC_LIMIT_HI) | (d.lo & 0xffff)) + 1;
  if (limit * (d.hi & DESC_G ? 4096 : 1) !== HYPERVISOR_VIRT_START_PAE) return;
  d.lo |= 0xffff;
  d.hi |= DESC_LIMIT_HI;
}

function fixGate(d: CheckedDescriptor, narrow: boolean): boolean {
  const type = (d.hi >>> 8) & DESC_TYPE;
  if (type === 0) return true;
  if (type !== TYPE_CALL_GATE) return false;
  const selector = d.lo >>> 16;
  if (!isGateTarget(selector, narrow)) return false;
  if (narrow) {
    if ((d.hi & GATE_RESERVED) !== 0) return false;
    // Where the gate keeps its own privilege, since that of the descriptor goes.
    d.lo = (d.lo & 0xffff) | (((selector & ~3) | dplFor(d, narrow)) << 16);
  } else d.lo = (d.lo & 0xffff) | ((selector | 3) << 16);
  // A gate that Xen emulates can never be entered by hardware: its own privilege stays 0.
  d.hi &= ~DESC_DPL;
  return true;
}

/** A segment of the guest's own tables, or Xen's flat one for its kernel. */
function isGateTarget(selector: number, narrow: boolean): boolean {
  const isGuests = (selector & 4) !== 0 || selector >>> 3 < FIRST_RESERVED_GDT_ENTRY;
  return isGuests || selector === (narrow ? FLAT_RING1_CS : FLAT_RING3_CS64);
}

/** A selector or ring that a guest may load: of ring 3, whatever it said; in a 32-bit guest at least of ring 1. */
export function guestSelector(selector: number, narrow: boolean): number {
  if (!narrow) return (selector | 3) & 0xffff;
  return (selector & 3) === 0 ? (selector | 1) & 0xffff : selector & 0xffff;
}
