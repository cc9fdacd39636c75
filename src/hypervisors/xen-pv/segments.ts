// Segment registers of a PV guest as Xen loads them for it: returns, and the user's GS by selector.

import { GP, isCanonical } from '../../cpu/control-bits.ts';
import {
  attrOf,
  CS,
  type Descriptor,
  dplOf,
  GS,
  isCode,
  isWritableData,
  limitOf,
  loadSegment,
  markAccessed,
  readDescriptor,
  SS_REG,
  setNullSegment,
  setSegment,
  TYPE_CONFORMING,
} from '../../cpu/descriptors.ts';
import { ATTR_D, ATTR_L, ATTR_P } from '../../cpu/state.ts';
import { mapLdtPage } from './ldt.ts';
import type { PvDomain } from './pv-domain.ts';

const USER_DS = 0x2b;

/** Code and stack of a return to the ring of `cs`, or false and nothing changed: IRET would fault. */
export function loadReturnSegments(pv: PvDomain, cs: number, ss: number, rip: number): boolean {
  const ring = cs & 3;
  const code = descriptor(pv, cs);
  if (code === null || !isCode(attrOf(code))) return false;
  const attr = attrOf(code);
  const conforms = (attr & TYPE_CONFORMING) !== 0;
  if (conforms ? dplOf(attr) > ring : dplOf(attr) !== ring) return false;
  if ((attr & ATTR_P) === 0) return false;
  if ((attr & (ATTR_L | ATTR_D)) === (ATTR_L | ATTR_D)) return false;
  const inRange = attr & ATTR_L ? isCanonical(rip) : rip >= 0 && rip <= limitOf(code);
  if (!inRange) return false;
  const stack = stackOf(pv, ss, ring);
  if (stack === null) return false;
  const { state, cx } = pv.cpu;
  if (!markAccessed(cx, code) || !markAccessed(cx, stack)) return false;
  setSegment(state, CS, cs, code);
  setSegment(state, SS_REG, ss, stack);
  state.set('cpl', ring);
  pv.cpu.stateChanged();
  return true;
}

/** The descriptor behind a stack selector for `ring`; null: none that may be one. */
export function stackOf(pv: PvDomain, selector: number, ring: number): Descriptor | null {
  if ((selector & 3) !== ring) return null;
  const d = descriptor(pv, selector);
  if (d === null) return null;
  const attr = attrOf(d);
  return isWritableData(attr) && dplOf(attr) === ring && attr & ATTR_P ? d : null;
}

/** An LDT page that is looked at for the first time is mapped now. */
function descriptor(pv: PvDomain, selector: number): Descriptor | null {
  if ((selector & 0xfffc) === 0) return null;
  const { cx } = pv.cpu;
  const d = readDescriptor(cx, selector, GP);
  if (d !== null || (selector & 4) === 0) return d;
  if (!mapLdtPage(pv, selector & 0xfff8)) return null;
  return readDescriptor(cx, selector, GP);
}

/** SEGBASE_GS_USER_SEL: the selector goes into GS, its base to the user's GS; a bad one leaves a null selector. */
export function loadUserGs(pv: PvDomain, selector: number): void {
  const { state, cx } = pv.cpu;
  const kernelBase = state.segBase(GS);
  if (selector & 4) descriptor(pv, selector);
  if (loadSegment(cx, GS, selector) !== 0) {
    // Xen loads the user's data segment first where the processor leaves the base of a null selector alone.
    loadSegment(cx, GS, USER_DS);
    setNullSegment(state, GS, 0);
  }
  state.setVa('kernelGsBase', state.segBase(GS));
  state.setSegBase(GS, kernelBase);
}
