// Segments in WebAssembly, as the quick ways of events and returns load them: slow/descriptors.ts says what it means.

import { CR0_PE } from '../control-bits.ts';
import {
  DPL3,
  SS_REG,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_EXPAND_DOWN,
  TYPE_RW,
} from '../descriptors.ts';
import {
  ATTR_D,
  ATTR_DPL_SHIFT,
  ATTR_L,
  ATTR_NULL,
  ATTR_P,
  ATTR_S,
  SEG_AT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { type Helpers, type Places, QuickSite } from './quick-site.ts';

/** What a descriptor has to be: its attributes under `fixed`, DPL aside, are `value`. */
export interface Wanted {
  readonly fixed: number;
  readonly value: number;
  /** Base 0, and no byte of 4 GiB is beyond its limit. */
  readonly flat: boolean;
}

const CODE = ATTR_P | ATTR_S | TYPE_CODE | TYPE_ACCESSED;
const CODE_FIXED = CODE | TYPE_CONFORMING | ATTR_L | ATTR_D | DPL3;
const DATA = ATTR_P | ATTR_S | TYPE_RW | TYPE_ACCESSED;
const DATA_FIXED = DATA | TYPE_CODE | DPL3;

/** Present, accessed, not conforming; stacks are writable. */
export const CODE64: Wanted = { fixed: CODE_FIXED, value: CODE | ATTR_L, flat: false };
export const CODE32: Wanted = { fixed: CODE_FIXED, value: CODE | ATTR_D, flat: true };
/** Under 64-bit code neither limit nor size of a stack count. */
export const STACK64: Wanted = { fixed: DATA_FIXED, value: DATA, flat: false };
export const STACK32: Wanted = {
  fixed: DATA_FIXED | TYPE_EXPAND_DOWN | ATTR_D,
  value: DATA | ATTR_D,
  flat: true,
};

/** In the high word of a descriptor; what of it, shifted by 8, is the attributes. */
const DESCRIPTOR_G = 1 << 23;
const ATTR_MASK = 0xf0ff;
/** The words of a flat segment without its attributes. SDM 3A 3.4.5. */
const FLAT_LO = 0xffff;
const FLAT_HI = 0x008f0000;
const FLAT_HI_MASK = 0xff8f00ff;
const IN_LDT = 4;

/**
 * Into `to` the address of the GDT entry of the selector in the local `selector`, whose RPL does not count. It is not null,
 * and the DPL is what `pushDpl` leaves.
 */
export function descriptor(
  q: QuickSite,
  selector: number,
  to: number,
  { fixed, value, flat }: Wanted,
  pushDpl: () => void,
): void {
  const { c, t } = q;
  q.only(() => c.get(selector), IN_LDT, 0);
  c.get(selector).i32(0xfff8).op('i32.and').tee(t).op('i32.eqz').brIf(q.decline);
  c.get(t).i32(7).op('i32.add');
  q.load('gdtrLimit').op('i32.gt_u').brIf(q.decline);
  q.load('gdtrBase').get(t).op('i64.extend_i32_u').op('i64.add').i32(8);
  q.systemHit(to);
  c.get(to).mem('i32.load', 4).i32(8).op('i32.shr_u').i32(fixed).op('i32.and');
  pushDpl();
  c.i32(ATTR_DPL_SHIFT).op('i32.shl').i32(value).op('i32.or').op('i32.ne').brIf(q.decline);
  if (!flat) return;
  q.only(() => c.get(to).mem('i32.load', 0), -1, FLAT_LO);
  q.only(() => c.get(to).mem('i32.load', 4), FLAT_HI_MASK, FLAT_HI);
}

/** Fills segment register `n` from the local `selector` and the descriptor that `descriptor` has found. */
export function loadSegment(q: QuickSite, n: number, selector: number, found: number): void {
  const { c, st } = q;
  c.get(st)
    .i32(SEG_AT + n * SEG_STRIDE)
    .op('i32.add');
  c.get(selector).get(found).call(q.helpers.loadSegment);
}

/** The null stack segment of ring 0 in 64-bit code. SDM 3A 6.14.4. */
export function loadNullStack({ c, st }: QuickSite): void {
  const at = SEG_AT + SS_REG * SEG_STRIDE;
  c.get(st)
    .i32(0)
    .mem('i32.store', at + SEG_SELECTOR);
  c.get(st)
    .i64(0n)
    .mem('i64.store', at + SEG_BASE);
  c.get(st)
    .i32(0)
    .mem('i32.store', at + SEG_LIMIT);
  c.get(st)
    .i32(ATTR_NULL)
    .mem('i32.store', at + SEG_ATTR);
}

/**
 * `(segment register, offset, bytes, writes) -> 0 allowed, 1 faulted`: data segments that grow upwards, in protected mode;
 * `slow` is segment-check.ts.
 */
export function checkFunction(places: Places, helpers: Helpers, slow: number): Code {
  const q = new QuickSite(places, helpers, 4);
  const { c, st, t } = q;
  const [segment, offset, bytes, writes] = [0, 1, 2, 3];
  const [at, limit] = [c.take('i32'), c.take('i32')];
  q.decline = c.block();
  q.only(() => q.load('cr0'), CR0_PE, CR0_PE);
  c.get(segment).i32(SEG_STRIDE).op('i32.mul').get(st).op('i32.add').set(at);
  c.get(at)
    .mem('i32.load', SEG_AT + SEG_ATTR)
    .set(t);
  q.only(() => c.get(t), ATTR_NULL | TYPE_CODE | TYPE_EXPAND_DOWN, 0);
  c.get(writes).i32(0).op('i32.ne').get(t).i32(TYPE_RW).op('i32.and').op('i32.eqz');
  c.op('i32.and').brIf(q.decline);
  c.get(at)
    .mem('i32.load', SEG_AT + SEG_LIMIT)
    .tee(limit);
  c.i32(-1).op('i32.ne');
  c.get(offset).op('i64.extend_i32_u').get(bytes).op('i64.extend_i32_u').op('i64.add');
  c.i64(1n).op('i64.sub').get(limit).op('i64.extend_i32_u').op('i64.gt_u');
  c.op('i32.and').brIf(q.decline);
  c.i32(0).op('return').end();
  for (const param of [segment, offset, bytes, writes]) c.get(param);
  c.call(slow);
  return c;
}

/** `(address of the segment register, selector, address of the descriptor)`, see descriptors.ts `setSegment`. */
export function loadSegmentFunction(): Code {
  const c = new Code(3);
  const [lo, hi, limit] = [c.take('i32'), c.take('i32'), c.take('i32')];
  c.get(2).mem('i32.load', 0).set(lo);
  c.get(2).mem('i32.load', 4).set(hi);
  c.get(0).get(1).i32(0xffff).op('i32.and').mem('i32.store', SEG_SELECTOR);
  c.get(0).get(lo).i32(16).op('i32.shr_u');
  c.get(hi).i32(0xff).op('i32.and').i32(16).op('i32.shl').op('i32.or');
  c.get(hi).i32(0xff000000).op('i32.and').op('i32.or');
  c.op('i64.extend_i32_u').mem('i64.store', SEG_BASE);
  c.get(lo).i32(0xffff).op('i32.and').get(hi).i32(0xf0000).op('i32.and').op('i32.or').set(limit);
  c.get(0);
  c.get(limit).i32(12).op('i32.shl').i32(0xfff).op('i32.or').get(limit);
  c.get(hi).i32(DESCRIPTOR_G).op('i32.and').op('select').mem('i32.store', SEG_LIMIT);
  c.get(0).get(hi).i32(8).op('i32.shr_u').i32(ATTR_MASK).op('i32.and');
  c.mem('i32.store', SEG_ATTR);
  return c;
}
