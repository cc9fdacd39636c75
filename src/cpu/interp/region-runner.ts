// Runs translated code as long as it leads to more of it: a small function, so that V8 makes a tight loop of it.

import {
  REGION_BUDGET,
  REGION_FAULT,
  REGION_LOOKUP,
  REGION_OTHER,
  REGION_UNPAID,
} from '../jit/region.ts';
import { FIELDS } from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { emitCount } from './counters.ts';
import { ENTRY_SLOT_SHIFT, emitLookup, JUMP_ENTRY } from './lookup.ts';
import type { ModuleContext } from './module.ts';
import { H_INDEX, H_SLOT, HANDLER_REGION, R_HANDLER, R_LEFT, RECORD_BYTES } from './records.ts';

/**
 * `(state, head of a region's block) -> what next`: REGION_LOOKUP, REGION_FAULT, REGION_BUDGET, a record, or a chain field (its
 * low bits tell) that is to hold the record of the RIP in the state.
 */
export function regionRunner(regionType: number, jumpCache: number, context: ModuleContext): Code {
  const c = new Code(2);
  const st = 0;
  const rec = 1;
  const t = c.take('i32');
  const u = c.take('i32');
  const rip = c.take('i64');
  const lin = c.take('i64');
  const entry = c.take('i32');
  const { counters } = context;
  pushEntry(c, rec);
  c.set(entry);
  const again = c.loop();
  emitCount(c, counters, 'entries', () => c.i64(1n));
  emitCount(c, counters, 'instructions', () => pushLeft(c, st));
  c.get(st).get(entry).get(entry).i32(ENTRY_SLOT_SHIFT).op('i32.shr_u');
  c.callIndirect(regionType).tee(lin).op('i32.wrap_i64').set(t);
  emitCount(c, counters, 'instructions', () => {
    c.i64(0n);
    pushLeft(c, st);
    c.op('i64.sub');
  });
  const found = c.block();
  const miss = c.block();
  const address = c.block();
  c.get(t).i32(REGION_OTHER).op('i32.gt_u').brIf(address);
  c.get(t).i32(REGION_OTHER).op('i32.eq').iff();
  c.get(lin).i64(32n).op('i64.shr_u').op('i32.wrap_i64').set(entry).br(again);
  c.end();
  c.get(t).i32(REGION_FAULT).op('i32.eq').iff();
  c.get(t).op('return');
  c.end();
  c.get(t).iff();
  storeRip(c, st, lin);
  c.end();
  c.get(st).mem('i32.load', FIELDS.attention.at).brIf(miss);
  // Looking is an effect (TLB fills, faults): not when nothing may run any more.
  c.get(st).mem('i32.load', FIELDS.budget.at).i32(0).op('i32.le_s').brIf(miss);
  c.get(st).mem('i64.load', FIELDS.rip.at).set(rip);
  emitCount(c, counters, 'lookups', () => c.i64(1n));
  emitLookup(c, { st, rip, lin, t, u }, jumpCache, miss);
  c.set(rec).get(u).mem('i32.load', JUMP_ENTRY).tee(entry).brIf(again).br(found);
  c.end();
  emitAddress(c, { st, rec, t, u, lin });
  emitCount(c, counters, 'chained', () => c.i64(1n));
  c.br(found);
  c.end();
  c.i32(REGION_LOOKUP).op('return');
  c.end();
  c.get(rec).mem('i32.load16_u', R_HANDLER).i32(HANDLER_REGION).op('i32.eq').iff();
  pushEntry(c, rec);
  c.set(entry).br(again);
  c.end();
  c.end();
  c.get(rec);
  return c;
}

/** What region.ts says of addresses, which `t` is: goes on with the record that a chain field holds in `rec`, else returns. */
function emitAddress(
  c: Code,
  { st, rec, t, u, lin }: { st: number; rec: number; t: number; u: number; lin: number },
): void {
  c.get(t)
    .i32(RECORD_BYTES - 1)
    .op('i32.and')
    .tee(u)
    .i32(REGION_UNPAID)
    .op('i32.gt_u')
    .iff();
  c.get(t).mem('i32.load', 0).tee(rec).op('i32.eqz').iff();
  storeRip(c, st, lin);
  c.get(t).op('return'); // The hot function looks, and fills it.
  c.end();
  c.else();
  c.get(u).iff();
  storeRip(c, st, lin);
  c.get(st).get(t).i32(REGION_UNPAID).op('i32.sub').mem('i32.store', FIELDS.rec.at);
  c.i32(REGION_BUDGET).op('return');
  c.end();
  // The block was paid for; its instructions from here on have not run.
  c.get(st).get(st).mem('i32.load', FIELDS.budget.at);
  c.get(t).mem('i32.load8_u', R_LEFT).op('i32.add').mem('i32.store', FIELDS.budget.at);
  c.get(t).op('return');
  c.end();
}

/** RIP is at the offset from the page that stands in the high half of `lin`. */
function storeRip(c: Code, st: number, lin: number): void {
  c.get(st)
    .get(st)
    .mem('i64.load', FIELDS.ripPage.at)
    .get(lin)
    .i64(32n)
    .op('i64.shr_s')
    .op('i64.add')
    .tee(lin);
  c.get(lin).i64(0xffffffffn).op('i64.and');
  c.get(st).mem('i32.load', FIELDS.codeMode.at).i32(64).op('i32.eq').op('select');
  c.mem('i64.store', FIELDS.rip.at);
}

/** Slot and index as the jump cache has them, from the block's head. */
function pushEntry(c: Code, rec: number): void {
  c.get(rec).mem('i32.load', H_SLOT).i32(ENTRY_SLOT_SHIFT).op('i32.shl');
  c.get(rec).mem('i32.load', H_INDEX).op('i32.or');
}

/** Instructions that are granted and not yet paid for. */
function pushLeft(c: Code, st: number): void {
  c.get(st).mem('i64.load32_s', FIELDS.budget.at);
  c.get(st).mem('i64.load32_s', FIELDS.slack.at).op('i64.add');
}
