// The jump cache as JavaScript sees it: where the hot function looks for a block first, see lookup.ts.

import { type Layout, MODE_KEY_LIMIT, type Views } from '../state.ts';
import {
  ENTRY_SLOT_SHIFT,
  JUMP_SET_BYTES,
  JUMP_SETS,
  JUMP_SLOT_BYTES,
  JUMP_SLOTS,
} from './lookup.ts';
import { H_INDEX, H_SLOT, HANDLER_GUARD, HANDLER_REGION, R_HANDLER } from './records.ts';

const SLOT_WORDS = JUMP_SLOT_BYTES / 4;
const EMPTY = 0xffffffff;

export class JumpCache {
  private readonly views: Views;
  private readonly at: number;

  constructor(views: Views, layout: Layout) {
    this.views = views;
    this.at = layout.engine;
    this.clear();
  }

  /** Not if the block depends on the limit of CS, which is no part of the key here. */
  remember(gpa: number, modeKey: number, record: number): void {
    if (modeKey & MODE_KEY_LIMIT) return;
    const { u32, i32 } = this.views;
    const first = this.setOf(gpa);
    if (u32[first] !== gpa || u32[first + 1] !== modeKey)
      for (let i = first; i < first + SLOT_WORDS; i++) i32[i + SLOT_WORDS] = i32[i] as number;
    u32[first] = gpa;
    u32[first + 1] = modeKey;
    i32[first + 2] = record;
    i32[first + 3] = this.entryOf(record);
  }

  /** Translated code begins, or no longer begins, with this block: its head says so already. */
  entryChanged(gpa: number, record: number): void {
    const { i32 } = this.views;
    const set = this.setOf(gpa);
    for (let slot = set; slot <= set + SLOT_WORDS; slot += SLOT_WORDS)
      if (i32[slot + 2] === record) i32[slot + 3] = this.entryOf(record);
  }

  /** The record that the hot function would find for this address, had the TLB its page; 0: none, or a guard, which has asked. */
  remembered(gpa: number, modeKey: number): number {
    const { u16, u32, i32 } = this.views;
    let slot = this.setOf(gpa);
    if (u32[slot] !== gpa || u32[slot + 1] !== modeKey) slot += SLOT_WORDS;
    if (u32[slot] !== gpa || u32[slot + 1] !== modeKey) return 0;
    const record = i32[slot + 2] as number;
    return u16[(record + R_HANDLER) >> 1] === HANDLER_GUARD ? 0 : record;
  }

  forget(gpa: number, record: number): void {
    const { u32, i32 } = this.views;
    const set = this.setOf(gpa);
    for (let slot = set; slot <= set + SLOT_WORDS; slot += SLOT_WORDS) {
      if (i32[slot + 2] !== record) continue;
      u32[slot] = EMPTY;
      u32[slot + 1] = EMPTY;
    }
  }

  clear(): void {
    const from = this.at >> 2;
    this.views.u32.fill(EMPTY, from, from + (JUMP_SLOTS * JUMP_SLOT_BYTES) / 4);
  }

  private entryOf(record: number): number {
    const { u16, i32 } = this.views;
    if (u16[(record + R_HANDLER) >> 1] !== HANDLER_REGION) return 0;
    const slot = i32[(record + H_SLOT) >> 2] as number;
    return (slot << ENTRY_SLOT_SHIFT) | (i32[(record + H_INDEX) >> 2] as number);
  }

  /** Word index of the set for an address. */
  private setOf(gpa: number): number {
    return (this.at + ((gpa ^ (gpa >>> 12)) & (JUMP_SETS - 1)) * JUMP_SET_BYTES) >> 2;
  }
}
