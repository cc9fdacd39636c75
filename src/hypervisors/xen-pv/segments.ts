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
  readDescriptor,
  SS_REG,
  setNullSegment,
  setSegment,
} from '../../cpu/descriptors.ts';
import { ATTR_D, ATTR_L, ATTR_P } from '../../cpu/state.ts';
import { mapLdtPage } from './ldt.ts';
import type { PvDomain } from './pv-domain.ts';

const USER_DS = 0x2b;

/** Code and stack of a return to ring 3, or false and nothing changed: IRET would fault. */
export function loadReturnSegments(pv: PvDomain, cs: number, ss: number, rip: number): boolean {
  const code = ringThree(pv, cs);
  if (code === null || !isCode(attrOf(code))) return false;
  const attr = attrOf(code);
  if ((attr & (ATTR_L | ATTR_D)) === (ATTR_L | ATTR_D)) return false;
  const inRange = attr & ATTR_L ? isCanonical(rip) : rip >= 0 && rip <= limitOf(code);
  if (!inRange) return false;
  const stack = ringThree(pv, ss);
  if (stack === null || !isWritableData(attrOf(stack))) return false;
  const { state } = pv.cpu;
  setSegment(state, CS, cs, code);
  setSegment(state, SS_REG, ss, stack);
  pv.cpu.stateChanged();
  return true;
}

function ringThree(pv: PvDomain, selector: number): Descriptor | null {
  const d = descriptor(pv, selector);
  if (d === null) return null;
  const attr = attrOf(d);
  return dplOf(attr) === 3 && attr & ATTR_P ? d : null;
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
