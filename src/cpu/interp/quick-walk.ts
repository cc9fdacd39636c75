// Accesses and fetches that miss the TLB, in WebAssembly: what of them is plain RAM is walked, checked and entered here, as mmu.ts does it.

import { CR4_SMAP } from '../control-bits.ts';
import { FRAME_CODE, FRAME_DIRTY, FRAME_WATCH } from '../frames.ts';
import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  DEVICE_PAGE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type FieldName,
  type Layout,
  MMU_ONLY,
  MODE_KEY_LIMIT,
  SCRATCH_AT,
} from '../state.ts';
import { ENTRY_WRITE } from '../tlb.ts';
import { FETCH, READ, WRITE } from '../walk.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import { GRANULE_SHIFT, tablePlaces } from './block-table.ts';
import { emitJumpCacheKey, emitJumpCacheSlot, emitLinear } from './lookup.ts';
import { moduleOf, type PlacedCode } from './placed-code.ts';
import {
  addFills,
  DATA_ADDEND_AT,
  DATA_FLAGS_AT,
  DATA_FRAME_AT,
  DATA_WRITE_AT,
  emitDataEntry,
  emitFetchEntryOf,
} from './quick-tlb.ts';
import { HANDLER_GUARD, R_HANDLER } from './records.ts';
import { WALK_DECLINED, WALK_DEVICE, WALK_FAULTED, walkFunction } from './walk-function.ts';

/** What hot code imports, as JavaScript has it: mmu.ts, and the engine's `find`. */
export interface SlowAccesses {
  load(va: number, bytes: number, stack: number): number;
  rmw(va: number, bytes: number, stack: number): number;
  store(va: number, bytes: number, stack: number): number;
  probe(va: number, bytes: number, stack: number): number;
  loadDevice(va: number, bytes: number, stack: number): number;
  storeDevice(va: number, bytes: number, stack: number): number;
  find(patch: number): number;
}

const ACCESSES = ['load', 'rmw', 'store', 'probe'] as const;
type AccessName = (typeof ACCESSES)[number];

const PAGE_BYTES = 4096;
const DATA_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
const FETCH_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;
/** Numbers of data TLBs, see modes.ts. */
const SUPERVISOR = 0;
const USER = 2;
const CHECKED = 3;
/** Half of the address space: canonical addresses lie this far from 0. SDM 1 3.3.7.1. */
const CANONICAL = 2 ** 47;
/** What `reach` leaves where there is no address in RAM. */
const REACH_FAULTED = 0;
const REACH_DECLINED = 1;
/** The bytes are a device's, whose page is at DEVICE_PAGE. */
const REACH_DEVICE = 2;

/**
 * The same functions in WebAssembly. Each does the same as `slow`, which it asks where anything but RAM may be concerned;
 * it has changed nothing then, or no more than `slow` finds done already.
 */
export function quickWalks(
  memory: WebAssembly.Memory,
  layout: Layout,
  slow: SlowAccesses,
): Record<keyof SlowAccesses, unknown> {
  const e = { memory, ...slow };
  const { exports } = new WebAssembly.Instance(moduleOf(walksCode(layout)), { e });
  return exports as Record<keyof SlowAccesses, unknown>;
}

export function walksCode(layout: Layout): PlacedCode {
  const key = JSON.stringify(['walks', layout]);
  return { key, generate: () => quickWalkModule(layout) };
}

function quickWalkModule(layout: Layout): Uint8Array {
  const m = new ModuleBuilder();
  const accessTypes = [['f64', 'i32', 'i32'] as const, ['i32'] as const] as const;
  const imported = (name: keyof SlowAccesses) => m.importFunction('e', name, ...accessTypes);
  const slow = ACCESSES.map(imported);
  const devices = { load: imported('loadDevice'), store: imported('storeDevice') };
  const find = m.importFunction('e', 'find', ['i32'], ['i32']);
  m.importMemory('e', 'memory', 1);
  const fills = addFills(m, layout);
  const walkType = m.type(['i64', 'i32', 'i32', 'i32'], ['i64']);
  const walk = m.addFunction(walkType, walkFunction(layout).body());
  const reach = m.addFunction(
    m.type(['i64', 'i32', 'i32'], ['i32']),
    reachFunction(layout, walk, fills.data).body(),
  );
  ACCESSES.forEach((name, n) => {
    const ways = { reach, slow: slow[n] as number, ...devices };
    const body = accessFunction(name, layout, ways).body();
    m.addFunction(m.type(...accessTypes), body, name);
  });
  const finder = findFunction(layout, { walk, fill: fills.fetch, slow: find });
  m.addFunction(m.type(['i32'], ['i32']), finder.body(), 'find');
  return m.encode();
}

/** `(va i64, READ or WRITE, bytes) -> address in linear memory`, after what `SoftMmu.translate` does; or REACH_*. */
function reachFunction(layout: Layout, walk: number, fill: number): Code {
  const c = new Code(3);
  const [va, kind, bytes] = [0, 1, 2];
  const [entry, tlb, frame, attributes, t] = [
    c.take('i32'),
    c.take('i32'),
    c.take('i32'),
    c.take('i32'),
    c.take('i32'),
  ];
  const [tag, walked] = [c.take('i64'), c.take('i64')];
  const answer = (n: number) => c.iff() && c.i32(n).op('return').end();
  const tlbAt = (n: number) => layout.dataTlbs + n * DATA_BYTES;
  const loadAttributes = () => {
    c.get(frame).mem('i32.load8_u', layout.frameAttrs).set(attributes);
  };
  const open = () => {
    c.get(frame).get(attributes).i32(FRAME_DIRTY).op('i32.or');
    c.mem('i32.store8', layout.frameAttrs);
    c.get(entry).get(tag).mem('i64.store', DATA_WRITE_AT);
  };
  field(c, layout, 'dataTlb').tee(tlb).i32(tlbAt(CHECKED)).op('i32.eq');
  answer(REACH_DECLINED);
  emitDataEntry(c, va, t, () => c.get(tlb));
  c.set(entry);
  c.get(va).i64(-4096n).op('i64.and').set(tag);
  c.get(entry).mem('i64.load', 0).get(tag).op('i64.eq');
  c.get(entry).mem('i32.load', DATA_FLAGS_AT).i32(ENTRY_WRITE).op('i32.and');
  c.get(kind).i32(WRITE).op('i32.ne').op('i32.or').i32(0).op('i32.ne').op('i32.and').iff();
  c.get(kind).i32(WRITE).op('i32.eq').iff();
  c.get(entry).mem('i32.load', DATA_FRAME_AT).set(frame);
  loadAttributes();
  c.get(attributes).i32(FRAME_WATCH).op('i32.and');
  answer(REACH_DECLINED);
  c.get(attributes).i32(FRAME_CODE).op('i32.and').iff();
  pushTouchesCode(c, tablePlaces(layout).granules, { frame, va, bytes });
  answer(REACH_DECLINED);
  c.get(frame).get(attributes).i32(FRAME_DIRTY).op('i32.or');
  c.mem('i32.store8', layout.frameAttrs);
  c.else();
  open();
  c.end();
  c.end();
  c.else();
  c.get(va).get(kind);
  c.get(tlb).i32(tlbAt(USER)).op('i32.eq');
  c.get(tlb).i32(tlbAt(SUPERVISOR)).op('i32.eq');
  field(c, layout, 'cr4').i32(CR4_SMAP).op('i32.and').i32(0).op('i32.ne').op('i32.and');
  c.call(walk).tee(walked).i64(BigInt(WALK_FAULTED)).op('i64.eq');
  answer(REACH_FAULTED);
  c.get(walked).i64(BigInt(WALK_DECLINED)).op('i64.eq');
  answer(REACH_DECLINED);
  c.get(walked).op('i32.wrap_i64').i32(WALK_DEVICE).op('i32.and').iff();
  c.i32(layout.tlbLists).get(walked).op('i32.wrap_i64').i32(-PAGE_BYTES).op('i32.and');
  c.mem('i32.store', DEVICE_PAGE).i32(REACH_DEVICE).op('return').end();
  c.get(entry).get(tag).get(walked).op('i32.wrap_i64');
  c.get(walked).i64(32n).op('i64.shr_u').op('i32.wrap_i64').call(fill);
  c.get(entry).mem('i32.load', DATA_FRAME_AT).set(frame);
  loadAttributes();
  c.get(kind).i32(WRITE).op('i32.eq');
  c.get(attributes).i32(FRAME_DIRTY).op('i32.and').i32(0).op('i32.ne');
  c.get(entry).mem('i32.load', DATA_FLAGS_AT).i32(ENTRY_WRITE).op('i32.and').i32(0).op('i32.ne');
  c.op('i32.and').op('i32.or');
  c.get(attributes)
    .i32(FRAME_CODE | FRAME_WATCH)
    .op('i32.and')
    .op('i32.eqz')
    .op('i32.and')
    .iff();
  open();
  c.end();
  c.end();
  c.get(va).op('i32.wrap_i64').get(entry).mem('i32.load', DATA_ADDEND_AT).op('i32.add');
  return c;
}

/** Leaves not 0 if granules with code are among the bytes, or there are too many to tell. See BlockTable.hasCode. */
function pushTouchesCode(
  c: Code,
  granules: number,
  { frame, va, bytes }: { frame: number; va: number; bytes: number },
): void {
  const bitOf = (pushOffset: () => void) => {
    c.get(frame).i32(3).op('i32.shl').mem('i64.load', granules);
    c.get(va)
      .op('i32.wrap_i64')
      .i32(PAGE_BYTES - 1)
      .op('i32.and');
    pushOffset();
    c.i32(GRANULE_SHIFT).op('i32.shr_u').op('i64.extend_i32_u').op('i64.shr_u');
    c.op('i32.wrap_i64').i32(1).op('i32.and');
  };
  bitOf(() => {});
  bitOf(() => c.get(bytes).op('i32.add').i32(1).op('i32.sub'));
  c.op('i32.or')
    .get(bytes)
    .i32(1 << GRANULE_SHIFT)
    .op('i32.gt_u')
    .op('i32.or');
}

/** `(va f64, bytes, stack)`: see `Mmu`. */
function accessFunction(
  name: AccessName,
  layout: Layout,
  { reach, slow, load, store }: { reach: number; slow: number; load: number; store: number },
): Code {
  const c = new Code(3);
  const [va, bytes, stack] = [0, 1, 2];
  const address = c.take('i64');
  const host = c.take('i32');
  const declined = c.block();
  c.i32(layout.tlbLists).mem('i32.load', MMU_ONLY).brIf(declined);
  c.get(va).op('f64.abs').f64(CANONICAL).op('f64.lt').op('i32.eqz').brIf(declined);
  c.get(va)
    .op('i64.trunc_f64_s')
    .tee(address)
    .op('i32.wrap_i64')
    .i32(PAGE_BYTES - 1);
  c.op('i32.and');
  c.get(bytes).op('i32.add').i32(PAGE_BYTES).op('i32.gt_u').brIf(declined);
  c.get(address)
    .i32(name === 'load' ? READ : WRITE)
    .get(bytes)
    .call(reach)
    .tee(host);
  c.i32(REACH_DECLINED).op('i32.eq').brIf(declined);
  c.get(host).i32(REACH_DEVICE).op('i32.eq');
  if (name === 'rmw' || name === 'probe') c.brIf(declined);
  else {
    c.iff();
    c.get(va).get(bytes).get(stack);
    c.call(name === 'load' ? load : store)
      .op('return')
      .end();
  }
  if (name === 'load' || name === 'rmw') c.get(host).op('return');
  else {
    c.get(host).op('i32.eqz').iff();
    c.i32(1).op('return').end();
    if (name === 'store') emitCopy(c, host, layout.state + SCRATCH_AT, bytes);
    c.i32(0).op('return');
  }
  c.end();
  c.get(va).get(bytes).get(stack).call(slow);
  return c;
}

/** Copies up to 16 bytes: mostly 8 or 4. */
function emitCopy(c: Code, to: number, from: number, bytes: number): void {
  for (const [size, load, store] of [
    [8, 'i64.load', 'i64.store'],
    [4, 'i32.load', 'i32.store'],
    [1, 'i32.load8_u', 'i32.store8'],
  ] as const) {
    c.get(bytes).i32(size).op('i32.eq').iff();
    c.get(to).i32(from).mem(load, 0).mem(store, 0).i32(0).op('return');
    c.end();
  }
  c.get(to).i32(from).get(bytes).op('memory.copy');
}

/** `(patch) -> record`: the engine's `find` where the TLB lacked the page, and the jump cache has the block. */
function findFunction(
  layout: Layout,
  { walk, fill, slow }: { walk: number; fill: number; slow: number },
): Code {
  const c = new Code(1);
  const patch = 0;
  const locals = {
    st: c.take('i32'),
    rip: c.take('i64'),
    lin: c.take('i64'),
    t: c.take('i32'),
    u: c.take('i32'),
  };
  const { st, lin, t } = locals;
  const [entry, record] = [c.take('i32'), c.take('i32')];
  const walked = c.take('i64');
  c.i32(layout.state).set(st);
  const declined = c.block();
  c.get(st).mem('i32.load', FIELDS.modeKey.at).i32(MODE_KEY_LIMIT).op('i32.and').brIf(declined);
  c.get(st).mem('i64.load', FIELDS.rip.at).set(locals.rip);
  emitLinear(c, locals, locals.rip);
  c.get(lin).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').get(lin).op('i64.ne').brIf(declined);
  emitFetchEntryOf(c, lin, () => field(c, layout, 'fetchTlb'));
  c.tee(entry).mem('i64.load', 0).get(lin).i64(-4096n).op('i64.and').op('i64.eq').brIf(declined);
  c.get(lin).i32(FETCH);
  field(c, layout, 'fetchTlb')
    .i32(layout.fetchTlbs + FETCH_BYTES)
    .op('i32.eq')
    .i32(0);
  c.call(walk).tee(walked).i64(BigInt(WALK_DECLINED)).op('i64.eq').brIf(declined);
  c.get(walked).i64(BigInt(WALK_FAULTED)).op('i64.eq').iff();
  c.i32(0).op('return').end();
  c.get(entry).get(lin).i64(-4096n).op('i64.and').get(walked).op('i32.wrap_i64').tee(t);
  c.get(walked).i64(32n).op('i64.shr_u').op('i32.wrap_i64').call(fill);
  c.get(t);
  emitJumpCacheKey(c, locals);
  emitJumpCacheSlot(c, locals, () => c.i32(layout.engine), declined);
  c.mem('i32.load', 8).tee(record);
  c.mem('i32.load16_u', R_HANDLER).i32(HANDLER_GUARD).op('i32.eq').brIf(declined);
  c.get(patch).iff();
  c.get(patch).get(record).mem('i32.store', 0);
  c.end();
  c.get(record).op('return');
  c.end();
  c.get(patch).call(slow);
  return c;
}

function field(c: Code, layout: Layout, name: FieldName): Code {
  const { at, bits } = FIELDS[name];
  return c.i32(layout.state).mem(bits === 64 ? 'i64.load' : 'i32.load', at);
}
