// An indirect jump or return whose target is a block of its own region: found in the jump cache, reached without leaving.

import {
  ENTRY_INDEX_MASK,
  emitFetchEntry,
  JUMP_ENTRY,
  JUMP_SET_BYTES,
  JUMP_SETS,
  JUMP_SLOT_BYTES,
} from '../interp/lookup.ts';
import { FIELDS, SEG_AT, SEG_STRIDE } from '../state.ts';
import type { Code } from '../wasm/encode.ts';

const SEG_CS = 1;

/** Where a region lies: the address of its page, which with the mode key is the jump cache's key, and that of the cache. */
export interface Place {
  readonly page: number;
  readonly modeKey: number;
  readonly jumpCache: number;
}

/** Locals: the state, RIP, how the region was entered (as the jump cache has it), and where the index of a block goes. */
export interface TurnLocals {
  readonly st: number;
  readonly rip: number;
  readonly entry: number;
  readonly next: number;
}

/**
 * Leaves in `next` the jump cache's word for the block that begins at `rip`, and whether that lies in this region. To
 * `miss`, with nothing changed, if it lies in another page or is not translated. The fetch TLB must have the page, as for
 * any lookup: tier 0 would fill it in here.
 */
export function emitTurn(c: Code, l: TurnLocals, place: Place, mode: 32 | 64, miss: number): void {
  const offset = c.take('i64');
  const lin = c.take('i64');
  const t = c.take('i32');
  c.get(l.rip).get(l.st).mem('i64.load', FIELDS.ripPage.at).tee(lin).op('i64.sub').tee(offset);
  c.i64(4095n).op('i64.gt_u').brIf(miss);
  c.get(lin)
    .get(l.st)
    .mem('i64.load', SEG_AT + SEG_CS * SEG_STRIDE)
    .op('i64.add');
  if (mode !== 64) c.i64Halves(-1, 0).op('i64.and');
  c.set(lin);
  emitFetchEntry(c, { st: l.st, lin, t });
  c.mem('i64.load', 0).get(lin).op('i64.ne').brIf(miss);
  c.get(t).mem('i32.load', 8).i32(place.page).op('i32.ne').brIf(miss);
  // The address's set: the page is a constant part of its number. See CodeCache.jumpSet.
  const page = (place.page ^ (place.page >>> 12)) & (JUMP_SETS - 1);
  c.get(offset).op('i32.wrap_i64').i32(page).op('i32.xor');
  c.i32(Math.log2(JUMP_SET_BYTES)).op('i32.shl').set(t);
  const isHere = () => {
    c.get(t).mem('i64.load', place.jumpCache);
    c.get(offset)
      .i64Halves(place.page | 0, place.modeKey)
      .op('i64.or')
      .op('i64.ne');
  };
  isHere();
  c.iff();
  c.get(t).i32(JUMP_SLOT_BYTES).op('i32.add').set(t);
  isHere();
  c.brIf(miss).end();
  c.get(t)
    .mem('i32.load', place.jumpCache + JUMP_ENTRY)
    .tee(l.next);
  c.op('i32.eqz').brIf(miss);
  c.get(l.next).get(l.entry).op('i32.xor').i32(ENTRY_INDEX_MASK).op('i32.le_u');
  c.release('i64', offset);
  c.release('i64', lin);
  c.release('i32', t);
}
