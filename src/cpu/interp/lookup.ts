// From RIP to the record of its block, in WebAssembly: the fetch TLB gives the page, the jump cache the record.

import { FETCH_TLB_ENTRIES, FIELDS, SEG_AT, SEG_STRIDE } from '../state.ts';
import type { Code } from '../wasm/encode.ts';

/**
 * A slot of the jump cache: key i64 (mode key << 32 | guest-physical address), record i32, and i32 where translated code
 * begins with this block: its slot in the table and the block's index in it, else 0. Two make a set.
 */
export const JUMP_SLOT_BYTES = 16;
export const JUMP_SLOTS = 1 << 16;
export const JUMP_ENTRY = 12;
export const ENTRY_SLOT_SHIFT = 8;
export const ENTRY_INDEX_MASK = 0xff;
export const JUMP_SET_BYTES = 2 * JUMP_SLOT_BYTES;
export const JUMP_SETS = JUMP_SLOTS / 2;

const CS_BASE = SEG_AT + SEG_STRIDE;

/** Locals: the state and RIP; `lin`, `t` and `u` are free. */
export interface LookupLocals {
  readonly st: number;
  readonly rip: number;
  readonly lin: number;
  readonly t: number;
  readonly u: number;
}

/** Stores ripPage, and leaves the record, with its slot's address in `u`; goes to `miss` if TLB or cache do not have it, with nothing changed. `jumpCache`: the global with its address. */
export function emitLookup(c: Code, l: LookupLocals, jumpCache: number, miss: number): void {
  emitLinear(c, l, l.rip);
  c.get(l.st).get(l.rip).get(l.lin).i64(4095n).op('i64.and').op('i64.sub');
  c.mem('i64.store', FIELDS.ripPage.at);
  emitFetchEntry(c, l);
  c.mem('i64.load', 0).get(l.lin).i64(-4096n).op('i64.and').op('i64.ne').brIf(miss);
  c.get(l.t).mem('i32.load', 8);
  emitJumpCacheKey(c, l);
  emitJumpCacheSlot(c, l, () => c.op('global.get', jumpCache), miss);
  c.mem('i32.load', 8);
}

/** From the guest-physical address of a page on the stack, `t` becomes that of `lin`, and `lin` the key for it. */
export function emitJumpCacheKey(c: Code, l: LookupLocals): void {
  c.get(l.lin).op('i32.wrap_i64').i32(4095).op('i32.and');
  c.op('i32.or').tee(l.t).op('i64.extend_i32_u');
  c.get(l.st).mem('i64.load32_u', FIELDS.modeKey.at).i64(32n).op('i64.shl').op('i64.or').set(l.lin);
}

/** Leaves the address of the slot with this key and address, also in `u`, or goes to `miss`. See JumpCache. */
export function emitJumpCacheSlot(
  c: Code,
  l: LookupLocals,
  pushJumpCache: () => void,
  miss: number,
): void {
  c.get(l.t).get(l.t).i32(12).op('i32.shr_u').op('i32.xor');
  c.i32(JUMP_SETS - 1)
    .op('i32.and')
    .i32(Math.log2(JUMP_SET_BYTES))
    .op('i32.shl');
  pushJumpCache();
  c.op('i32.add').tee(l.u);
  c.mem('i64.load', 0).get(l.lin).op('i64.ne').iff();
  c.get(l.u).i32(JUMP_SLOT_BYTES).op('i32.add').tee(l.u);
  c.mem('i64.load', 0).get(l.lin).op('i64.ne').brIf(miss);
  c.end();
  c.get(l.u);
}

/** From a local with an offset in CS to `lin`, which wraps at 4 GiB outside 64-bit code. */
export function emitLinear(c: Code, l: Pick<LookupLocals, 'st' | 'lin'>, offset: number): void {
  c.get(offset).get(l.st).mem('i64.load', CS_BASE).op('i64.add').set(l.lin);
  c.get(l.st).mem('i32.load', FIELDS.codeMode.at).i32(64).op('i32.ne').iff();
  c.get(l.lin).i64(0xffffffffn).op('i64.and').set(l.lin);
  c.end();
}

/** Leaves the address of the fetch TLB's entry for `lin`, also in `t`. */
export function emitFetchEntry(c: Code, l: Omit<LookupLocals, 'u' | 'rip'>): void {
  c.get(l.lin).i64(8n).op('i64.shr_u').op('i32.wrap_i64');
  c.i32((FETCH_TLB_ENTRIES - 1) << 4).op('i32.and');
  c.get(l.st).mem('i32.load', FIELDS.fetchTlb.at).op('i32.add').tee(l.t);
}
