// What the WebAssembly of tier 0 counts for --stats: i64 each, at an address beside the jump cache.

import type { Layout } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import { JUMP_SLOT_BYTES, JUMP_SLOTS } from './lookup.ts';

export const COUNTERS = ['entries', 'instructions', 'chained', 'lookups'] as const;
export type CounterName = (typeof COUNTERS)[number];
/** A multiple of RECORD_BYTES. */
export const COUNTERS_BYTES = 64;

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
