// What the WebAssembly of tier 0 counts for --stats: i64 each, at an address beside the jump cache.

import type { Layout } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import { JUMP_SLOT_BYTES, JUMP_SLOTS } from './lookup.ts';

export const COUNTERS = ['entries', 'instructions', 'chained', 'lookups'] as const;
export type CounterName = (typeof COUNTERS)[number];
/** Of the function table: numbers of handlers are below it. */
export const TABLE_SIZE = 8192;
/** Behind the counters there is an i32 for each handler: how often tier 0 has run it. */
const HANDLER_COUNTS = 64;
/** A multiple of RECORD_BYTES. */
export const COUNTERS_BYTES = HANDLER_COUNTS + 4 * TABLE_SIZE;

export function countersAt(layout: Layout): number {
  return layout.engine + JUMP_SLOTS * JUMP_SLOT_BYTES;
}

/** Adds the i64 that `push` leaves. `at` 0: nothing is counted, and nothing emitted. */
export function emitCount(c: Code, at: number, name: CounterName, push: () => void): void {
  if (at === 0) return;
  const offset = COUNTERS.indexOf(name) * 8;
  c.i32(at).i32(at).mem('i64.load', offset);
  push();
  c.op('i64.add').mem('i64.store', offset);
}

/** One more run of the handler whose number is in the i16 at `rec` + `offset`. */
export function emitHandlerCount(
  c: Code,
  at: number,
  rec: number,
  offset: number,
  t: number,
): void {
  if (at === 0) return;
  c.get(rec).mem('i32.load16_u', offset).i32(2).op('i32.shl').tee(t);
  c.get(t)
    .mem('i32.load', at + HANDLER_COUNTS)
    .i32(1)
    .op('i32.add');
  c.mem('i32.store', at + HANDLER_COUNTS);
}

/** Index in 32-bit words of the first handler's count. */
export const handlerCountsAt = (layout: Layout): number =>
  (countersAt(layout) + HANDLER_COUNTS) >> 2;
