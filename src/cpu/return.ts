// Returns to the same or an outer ring: the checks of code and stack segment that IRET and far RET share.

import { EFER_LMA, GP, isCanonical, NP, SS } from './control-bits.ts';
import {
  attrOf,
  type Descriptor,
  dplOf,
  isCode,
  isNull,
  isWritableData,
  limitOf,
  markAccessed,
  readDescriptor,
  SS_REG,
  selectorFault,
  setNullSegment,
  setSegment,
  TYPE_CONFORMING,
} from './descriptors.ts';
import type { Cx } from './slow/define.ts';
import { ATTR_D, ATTR_L, ATTR_P, FIELDS } from './state.ts';

/** The code segment that is returned to, with RIP checked against it. Null: a fault is raised. SDM 2A IRET. */
export function returnSegment(cx: Cx, selector: number, rip: number): Descriptor | null {
  const { state } = cx;
  if (isNull(selector)) {
    state.raise(GP, 0);
    return null;
  }
  const d = readDescriptor(cx, selector, GP);
  if (d === null) return null;
  const attr = attrOf(d);
  const rpl = selector & 3;
  const privileged = attr & TYPE_CONFORMING ? dplOf(attr) <= rpl : dplOf(attr) === rpl;
  const long = (state.get(FIELDS.efer) & EFER_LMA) !== 0;
  const impossible = long && (attr & (ATTR_L | ATTR_D)) === (ATTR_L | ATTR_D);
  if (!isCode(attr) || rpl < state.get(FIELDS.cpl) || !privileged || impossible) {
    selectorFault(cx, GP, selector);
    return null;
  }
  if ((attr & ATTR_P) === 0) {
    selectorFault(cx, NP, selector);
    return null;
  }
  if (long && attr & ATTR_L ? isCanonical(rip) : rip >= 0 && rip <= limitOf(d)) return d;
  state.raise(GP, 0);
  return null;
}

/** A stack segment that has been checked: `load` cannot fault. */
export interface StackLoad {
  load(): void;
}

/** The stack segment of a return to `cpl`; null is allowed in 64-bit code of inner rings. Null: a fault is raised. */
export function stackFor(
  cx: Cx,
  selector: number,
  cpl: number,
  codeAttr: number,
): StackLoad | null {
  const { state } = cx;
  if (isNull(selector)) {
    const to64 = (state.get(FIELDS.efer) & EFER_LMA) !== 0 && (codeAttr & ATTR_L) !== 0;
    if (to64 && cpl < 3 && (selector & 3) === cpl)
      return { load: () => setNullSegment(state, SS_REG, selector) };
    state.raise(GP, 0);
    return null;
  }
  const d = readDescriptor(cx, selector, GP);
  if (d === null) return null;
  const attr = attrOf(d);
  if ((selector & 3) !== cpl || !isWritableData(attr) || dplOf(attr) !== cpl) {
    selectorFault(cx, GP, selector);
    return null;
  }
  if ((attr & ATTR_P) === 0) {
    selectorFault(cx, SS, selector);
    return null;
  }
  if (!markAccessed(cx, d)) return null;
  return { load: () => setSegment(state, SS_REG, selector, d) };
}
