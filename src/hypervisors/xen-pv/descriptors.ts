// Descriptor tables of PV guests: what a descriptor may say, and what Xen makes of it; frames of descriptors.

/** Second word of a descriptor. SDM 3A 3.4.5. */
const DESC_S = 1 << 12;
const DESC_P = 1 << 15;
const DESC_DPL = 3 << 13;
const DESC_TYPE = 0xf;
const TYPE_CALL_GATE = 0xc;

export interface CheckedDescriptor {
  lo: number;
  hi: number;
}

/**
 * Privilege is lowered to ring 3 where both kernel and user of a 64-bit guest run; a call gate may lead to ring 3 only; no
 * other system descriptor is for guests. False: refused. (Xen 4.17, check_descriptor.)
 */
export function fixDescriptor(d: CheckedDescriptor): boolean {
  if ((d.hi & DESC_P) === 0 && (d.hi & (DESC_S | (DESC_TYPE << 8))) === 0) return true;
  if ((d.hi & DESC_P) === 0) return true;
  // Xen keeps two halves of a privilege of its own: guests never get what is below 3.
  if ((d.hi & DESC_S) === 0) return fixGate(d);
  d.hi = d.hi | DESC_DPL | 0;
  return true;
}

function fixGate(d: CheckedDescriptor): boolean {
  const type = (d.hi >>> 8) & DESC_TYPE;
  if (type === 0) return true;
  if (type !== TYPE_CALL_GATE || (d.hi & DESC_P) === 0) return false;
  const selector = d.lo >>> 16;
  d.lo = ((d.lo & 0xffff) | ((selector | 3) << 16)) >>> 0;
  // A gate that Xen emulates can never be entered by hardware: its own privilege stays 0.
  d.hi &= ~DESC_DPL;
  return true;
}

/** A selector that a guest may load: ring 3, whatever it said. */
export const guestSelector = (selector: number): number => (selector | 3) & 0xffff;
