// Protection and limit checks of a memory access outside 64-bit code. SDM 3A 5.3 to 5.5.

import { ATTR_D, ATTR_NULL, FIELDS, SEG_ATTR, SEG_LIMIT, type State } from './state.ts';

const CR0_PE = 1;
const TYPE_CODE = 8;
const TYPE_EXPAND_DOWN = 4;
const TYPE_WRITABLE_OR_READABLE = 2;
const SEG_SS = 2;
const SS_FAULT = 12;
const GP_FAULT = 13;

/** 0: allowed; 1: #GP(0), or #SS(0) for SS, has been raised. `offset` is unsigned, 32 bits. A limit of 4 GiB wraps, as flat code expects. */
export function checkSegment(
  state: State,
  seg: number,
  offset: number,
  bytes: number,
  writes: boolean,
): 0 | 1 {
  if (allows(state, seg, offset, bytes, writes)) return 0;
  return state.raise(seg === SEG_SS ? SS_FAULT : GP_FAULT, 0);
}

function allows(
  state: State,
  seg: number,
  offset: number,
  bytes: number,
  writes: boolean,
): boolean {
  const attr = state.seg(seg, SEG_ATTR);
  const limit = state.seg(seg, SEG_LIMIT);
  const last = offset + bytes - 1;
  const code = (attr & TYPE_CODE) !== 0;
  if (state.get(FIELDS.cr0) & CR0_PE) {
    if (attr & ATTR_NULL) return false;
    const permitted = (attr & TYPE_WRITABLE_OR_READABLE) !== 0;
    if (writes ? code || !permitted : code && !permitted) return false;
  }
  if (!code && attr & TYPE_EXPAND_DOWN)
    return offset > limit && last <= (attr & ATTR_D ? 0xffffffff : 0xffff);
  return limit === 0xffffffff || last <= limit;
}

/** A segment through which every 32-bit offset can be read and written at its own address: no check is needed. */
export function isFlatData(state: State, seg: number): boolean {
  const attr = state.seg(seg, SEG_ATTR);
  const data =
    (attr & (TYPE_CODE | TYPE_EXPAND_DOWN | TYPE_WRITABLE_OR_READABLE)) ===
    TYPE_WRITABLE_OR_READABLE;
  return (
    data &&
    (attr & ATTR_NULL) === 0 &&
    state.segBase(seg) === 0 &&
    state.seg(seg, SEG_LIMIT) === 0xffffffff
  );
}
