// What tlb.ts does, in WebAssembly, over the same entries and lists: fills for page walks, flushes for CR3 and INVLPG.

import {
  DATA_TLB_ENTRIES,
  DATA_TLB_FOLD,
  DATA_TLB_STRIDE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FILTER_BYTES,
  GIGA_FILTER,
  GLOBAL_COUNT,
  type Layout,
  LISTED,
  LISTED_COUNT,
  LISTED_GLOBAL,
  MEGA_FILTER,
  NO_TAG,
} from '../state.ts';
import {
  D_ADDEND,
  D_FLAGS,
  D_FRAME,
  D_WRITE,
  ENTRY_GLOBAL,
  ENTRY_IN_LISTS,
  ENTRY_LISTED,
  ENTRY_LISTED_GLOBAL,
  ENTRY_SIZE_SHIFT,
  F_FLAGS,
  F_PAGE,
} from '../tlb.ts';
import { Code, type ModuleBuilder } from '../wasm/encode.ts';

type Places = Pick<Layout, 'dataTlbs' | 'fetchTlbs' | 'tlbLists'>;
type FillPlaces = Places & Pick<Layout, 'ramBase'>;

const DATA_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
const FETCH_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;

/** Where things lie in an entry. */
export const DATA_WRITE_AT = 4 * D_WRITE;
export const DATA_ADDEND_AT = 4 * D_ADDEND;
export const DATA_FRAME_AT = 4 * D_FRAME;
export const DATA_FLAGS_AT = 4 * D_FLAGS;
export const FETCH_PAGE_AT = 4 * F_PAGE;
export const FETCH_FLAGS_AT = 4 * F_FLAGS;

/** Leaves the address of the entry for the address in `va` (i64), in the data TLB that `push` leaves; `t` is free. */
export function emitDataEntry(c: Code, va: number, t: number, push: () => void): void {
  c.get(va).op('i32.wrap_i64').tee(t).get(t).i32(DATA_TLB_FOLD).op('i32.shr_u').op('i32.xor');
  c.i32(12 - Math.log2(DATA_TLB_STRIDE)).op('i32.shr_u');
  c.i32((DATA_TLB_ENTRIES - 1) * DATA_TLB_STRIDE).op('i32.and');
  push();
  c.op('i32.add');
}

/** The same for a fetch TLB. */
export function emitFetchEntryOf(c: Code, va: number, push: () => void): void {
  c.get(va)
    .op('i32.wrap_i64')
    .i32(12 - Math.log2(FETCH_TLB_STRIDE))
    .op('i32.shr_u');
  c.i32((FETCH_TLB_ENTRIES - 1) * FETCH_TLB_STRIDE).op('i32.and');
  push();
  c.op('i32.add');
}

/** Functions of a module, by index: `fillData` and `fillFetch` are `(entry, tag i64, page, flags)`. */
export function addFills(m: ModuleBuilder, places: FillPlaces): { data: number; fetch: number } {
  const list = m.addFunction(m.type(['i32', 'i32', 'i32'], ['i32']), listFunction(places).body());
  const remember = m.addFunction(m.type(['i64', 'i32'], []), rememberFunction(places).body());
  const type = m.type(['i32', 'i64', 'i32', 'i32'], []);
  return {
    data: m.addFunction(type, fillDataFunction(places, list, remember).body()),
    fetch: m.addFunction(type, fillFetchFunction(list, remember).body()),
  };
}

/** `nonGlobal` is `()`, `page` is `(va i64)`. */
export function addFlushes(m: ModuleBuilder, places: Places): { nonGlobal: number; page: number } {
  const drop = m.addFunction(m.type(['i32'], []), dropFunction(places).body());
  const large = m.addFunction(m.type(['i64'], []), flushLargeFunction(places, drop).body());
  return {
    nonGlobal: m.addFunction(m.type([], []), flushNonGlobalFunction(places, drop).body()),
    page: m.addFunction(m.type(['i64'], []), flushPageFunction(places, drop, large).body()),
  };
}

/** `(entry, its flags, new flags) -> the lists that it is in`. */
function listFunction({ tlbLists }: Places): Code {
  const c = new Code(3);
  const [entry, old, flags] = [0, 1, 2];
  const bit = c.take('i32');
  const append = (count: number, list: number) => {
    c.i32(tlbLists).mem('i32.load', count).i32(2).op('i32.shl').i32(tlbLists).op('i32.add');
    c.get(entry).mem('i32.store', list);
    c.i32(tlbLists).i32(tlbLists).mem('i32.load', count).i32(1).op('i32.add');
    c.mem('i32.store', count);
  };
  c.i32(ENTRY_LISTED_GLOBAL).i32(ENTRY_LISTED).get(flags).i32(ENTRY_GLOBAL).op('i32.and');
  c.op('select').tee(bit).get(old).op('i32.and').op('i32.eqz').iff();
  c.get(flags).i32(ENTRY_GLOBAL).op('i32.and').iff();
  append(GLOBAL_COUNT, LISTED_GLOBAL);
  c.else();
  append(LISTED_COUNT, LISTED);
  c.end().end();
  c.get(old).i32(ENTRY_IN_LISTS).op('i32.and').get(bit).op('i32.or');
  return c;
}

/** `(tag, flags)`. */
function rememberFunction({ tlbLists }: Places): Code {
  const c = new Code(2);
  const [tag, flags] = [0, 1];
  const [shift, region] = [c.take('i32'), c.take('i32')];
  const mark = (filter: number) => {
    c.i32(FILTER_BYTES - 1)
      .op('i32.and')
      .i32(tlbLists)
      .op('i32.add');
    c.i32(1).mem('i32.store8', filter);
  };
  c.get(flags).i32(ENTRY_SIZE_SHIFT).op('i32.shr_u').i32(0xff).op('i32.and').tee(shift);
  c.i32(12).op('i32.le_u').iff();
  c.op('return').end();
  c.get(shift).i32(30).op('i32.eq').iff();
  c.get(tag).i64(30n).op('i64.shr_u').op('i32.wrap_i64');
  mark(GIGA_FILTER);
  c.op('return').end();
  c.get(tag).i64(21n).op('i64.shr_u').op('i32.wrap_i64').set(region);
  c.get(region);
  mark(MEGA_FILTER);
  // A 4 MiB page is two regions of 2 MiB.
  c.get(shift).i32(22).op('i32.eq').iff();
  c.get(region).i32(1).op('i32.xor');
  mark(MEGA_FILTER);
  c.end();
  return c;
}

function fillDataFunction({ ramBase }: FillPlaces, list: number, remember: number): Code {
  const c = new Code(4);
  const [entry, tag, page, flags] = [0, 1, 2, 3];
  const lists = c.take('i32');
  c.get(entry).get(entry).mem('i32.load', DATA_FLAGS_AT).get(flags).call(list).set(lists);
  c.get(entry).get(tag).mem('i64.store', 0);
  c.get(entry).i64(NO_TAG).mem('i64.store', DATA_WRITE_AT);
  c.get(entry).i32(ramBase).get(page).op('i32.add').get(tag).op('i32.wrap_i64').op('i32.sub');
  c.mem('i32.store', DATA_ADDEND_AT);
  c.get(entry).get(page).i32(12).op('i32.shr_u').mem('i32.store', DATA_FRAME_AT);
  c.get(entry).get(flags).get(lists).op('i32.or').mem('i32.store', DATA_FLAGS_AT);
  c.get(tag).get(flags).call(remember);
  return c;
}

function fillFetchFunction(list: number, remember: number): Code {
  const c = new Code(4);
  const [entry, tag, page, flags] = [0, 1, 2, 3];
  const lists = c.take('i32');
  c.get(entry).get(entry).mem('i32.load', FETCH_FLAGS_AT).get(flags).call(list).set(lists);
  c.get(entry).get(tag).mem('i64.store', 0);
  c.get(entry).get(page).mem('i32.store', FETCH_PAGE_AT);
  c.get(entry).get(flags).get(lists).op('i32.or').mem('i32.store', FETCH_FLAGS_AT);
  c.get(tag).get(flags).call(remember);
  return c;
}

/** `(entry)`: clears its tags. */
function dropFunction({ fetchTlbs }: Places): Code {
  const c = new Code(1);
  c.get(0).i64(NO_TAG).mem('i64.store', 0);
  c.get(0).i32(fetchTlbs).op('i32.lt_u').iff();
  c.get(0).i64(NO_TAG).mem('i64.store', DATA_WRITE_AT);
  c.end();
  return c;
}

/** Calls `each` with local `at` = the address of every entry of a list. */
function emitForEach(
  c: Code,
  { tlbLists }: Places,
  [count, list]: readonly [count: number, list: number],
  at: number,
  each: () => void,
): void {
  const [next, end] = [c.take('i32'), c.take('i32')];
  c.i32(tlbLists + list).tee(next);
  c.i32(tlbLists).mem('i32.load', count).i32(2).op('i32.shl').op('i32.add').set(end);
  const done = c.block();
  const loop = c.loop();
  c.get(next).get(end).op('i32.ge_u').brIf(done);
  c.get(next).mem('i32.load', 0).set(at);
  c.get(next).i32(4).op('i32.add').set(next);
  each();
  c.br(loop);
  c.end().end();
  c.release('i32', next);
  c.release('i32', end);
}

/** Leaves the address of the flags of the entry at local `at`. */
function pushFlagsAddress(c: Code, { fetchTlbs }: Places, at: number): void {
  c.get(at).i32(FETCH_FLAGS_AT).i32(DATA_FLAGS_AT);
  c.get(at).i32(fetchTlbs).op('i32.ge_u').op('select').op('i32.add');
}

function flushNonGlobalFunction(places: Places, drop: number): Code {
  const c = new Code(0);
  const [at, flags, old] = [c.take('i32'), c.take('i32'), c.take('i32')];
  emitForEach(c, places, [LISTED_COUNT, LISTED], at, () => {
    pushFlagsAddress(c, places, at);
    c.tee(flags).mem('i32.load', 0).tee(old).i32(ENTRY_GLOBAL).op('i32.and').iff();
    // Entered anew since, as a global one: the other list has it.
    c.get(flags).get(old).i32(~ENTRY_LISTED).op('i32.and').mem('i32.store', 0);
    c.else();
    c.get(at).call(drop);
    c.get(flags).get(old).i32(ENTRY_LISTED_GLOBAL).op('i32.and').mem('i32.store', 0);
    c.end();
  });
  c.i32(places.tlbLists).i32(0).mem('i32.store', LISTED_COUNT);
  return c;
}

/** SDM 3A 4.10.4.1. */
function flushPageFunction(places: Places, drop: number, large: number): Code {
  const c = new Code(1);
  const va = 0;
  const [entry, t] = [c.take('i32'), c.take('i32')];
  const dropIf = () => {
    c.get(entry).mem('i64.load', 0).get(va).op('i64.eq').iff();
    c.get(entry).call(drop);
    c.end();
  };
  const filter = (shift: number, at: number) => {
    c.get(va).i64(BigInt(shift)).op('i64.shr_u').op('i32.wrap_i64');
    c.i32(FILTER_BYTES - 1)
      .op('i32.and')
      .i32(places.tlbLists)
      .op('i32.add');
    c.mem('i32.load8_u', at);
  };
  c.get(va).i64(-4096n).op('i64.and').set(va);
  for (let n = 0; n < 3; n++) {
    emitDataEntry(c, va, t, () => c.i32(places.dataTlbs + n * DATA_BYTES));
    c.set(entry);
    dropIf();
  }
  for (let n = 0; n < 2; n++) {
    emitFetchEntryOf(c, va, () => c.i32(places.fetchTlbs + n * FETCH_BYTES));
    c.set(entry);
    dropIf();
  }
  filter(21, MEGA_FILTER);
  filter(30, GIGA_FILTER);
  c.op('i32.or').iff();
  c.get(va).call(large);
  c.end();
  return c;
}

/** `(page)`: all parts of a large page that it lies in. */
function flushLargeFunction(places: Places, drop: number): Code {
  const c = new Code(1);
  const va = 0;
  const [at, shift] = [c.take('i32'), c.take('i64')];
  for (const list of [
    [LISTED_COUNT, LISTED],
    [GLOBAL_COUNT, LISTED_GLOBAL],
  ] as const) {
    emitForEach(c, places, list, at, () => {
      pushFlagsAddress(c, places, at);
      c.mem('i32.load', 0).i32(ENTRY_SIZE_SHIFT).op('i32.shr_u').i32(0xff).op('i32.and');
      c.op('i64.extend_i32_u').tee(shift).i64(12n).op('i64.gt_u').iff();
      c.get(at).mem('i64.load', 0).get(va).op('i64.xor').get(shift).op('i64.shr_u');
      c.op('i64.eqz').iff();
      c.get(at).call(drop);
      c.end().end();
    });
  }
  return c;
}
