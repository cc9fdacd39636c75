// Slow paths with a quick way in WebAssembly: what kernels do at every entry, exit and switch, without leaving for JavaScript.

import { bug } from '../../base/errors.ts';
import { CR4_PCIDE, CR4_TSD, EFLAGS_AC, EFLAGS_IF, EFLAGS_IOPL_SHIFT } from '../control-bits.ts';
import { COUNTED } from '../counted.ts';
import { GS } from '../descriptors.ts';
import { flagsFunction } from '../lower/flags.ts';
import { POLICY_CR_READ, POLICY_CR_WRITE, POLICY_INVLPG, POLICY_RDTSC } from '../policy.ts';
import { CR3_RESERVED_HI } from '../slow/control-registers.ts';
import { ARG_AT, RET_AT, SEG_AT, SEG_BASE, SEG_STRIDE } from '../state.ts';
import { type Code, ModuleBuilder } from '../wasm/encode.ts';
import { moduleOf, type PlacedCode } from './placed-code.ts';
import { bulkFunction, hitFunction, TLB_READ, TLB_WRITE } from './quick-bulk.ts';
import { enterFunction, faultFunction, interruptFunction } from './quick-deliver.ts';
import { iret } from './quick-iret.ts';
import { checkFunction, loadSegmentFunction } from './quick-segments.ts';
import { type Helpers, type Places, QuickSite } from './quick-site.ts';
import { syscall, sysret } from './quick-system-calls.ts';
import { addFlushes } from './quick-tlb.ts';

const SHADOW_STI = 1;
/** All but bit 63, which asks for no flush. */
const CR3_STORED = (1n << 63n) - 1n;

type Way = (q: QuickSite) => void;

/** By the slow path's name. */
const WAYS: Readonly<Record<string, Way>> = {
  rdtsc,
  sti,
  set_ac: setAc,
  swapgs,
  write_segment_base: writeSegmentBase,
  syscall,
  sysret,
  iret,
  bulk,
  read_control: readControl,
  write_control: writeControl,
  invlpg,
  hypercall,
};

/** What is asked where no quick way holds. */
export interface SlowWays {
  slow(id: number): number;
  /** The slow path of that name, which interfaces live by. */
  hypercall(): number;
  segment(segment: number, offset: number, bytes: number, writes: number): number;
  /** See `EngineParts`. */
  acknowledge(): number;
  due(): number;
  deliver(vector: number): number;
}

export interface Quick {
  /** As `SlowWays.segment`. */
  readonly segment: unknown;
  /** `(id) -> 0 done, 1 faulted`: a slow path. */
  readonly slow: unknown;
  /** `() -> 1 delivered, 0 ask the engine`: the fault that is raised. */
  readonly fault: unknown;
  /** `() -> 1 go on, 0 stop`: at a boundary at which the engine is to stop. */
  readonly interrupt: unknown;
  /** `(vector, error code, EVENT_* and RF) -> 1 delivered, 0 nothing done`: an event at RIP, between two instructions. */
  readonly enter: (vector: number, error: number, how: number) => number;
}

/**
 * Functions in WebAssembly with the meaning of `slow`, which they ask where they have no quick way or the usual conditions
 * do not hold. `names`: of slow paths, by number. `slow/*.ts` and deliver.ts say what they mean, and are what the reference
 * runs; each quick way here does the same, or nothing.
 */
export function quickCalls(
  memory: WebAssembly.Memory,
  places: Places,
  names: readonly string[],
  ways: SlowWays,
): Quick {
  const module = moduleOf(callsCode(places, names));
  return new WebAssembly.Instance(module, { e: { memory, ...ways } }).exports as unknown as Quick;
}

/** What the module is made of: the places are the same for any size of RAM. */
export function callsCode(places: Places, names: readonly string[]): PlacedCode {
  const { state, counted, dataTlbs, fetchTlbs, tlbLists } = places;
  const key = JSON.stringify([
    'calls',
    state,
    counted,
    dataTlbs,
    fetchTlbs,
    tlbLists,
    names.length,
  ]);
  return { key, generate: () => quickModule(places, names) };
}

function quickModule(places: Places, names: readonly string[]): Uint8Array {
  const m = new ModuleBuilder();
  const type = m.type(['i32'], ['i32']);
  const slow = m.importFunction('e', 'slow', ['i32'], ['i32']);
  const hypercall = m.importFunction('e', 'hypercall', [], ['i32']);
  const checkType = [['i32', 'i32', 'i32', 'i32'] as const, ['i32'] as const] as const;
  const segment = m.importFunction('e', 'segment', ...checkType);
  const acknowledge = m.importFunction('e', 'acknowledge', [], ['i32']);
  const due = m.importFunction('e', 'due', [], ['i32']);
  const deliver = m.importFunction('e', 'deliver', ['i32'], ['i32']);
  m.importMemory('e', 'memory', 1);
  const hitType = m.type(['i64', 'i32', 'i32'], ['i32']);
  const read = m.addFunction(hitType, hitFunction(TLB_READ).body());
  const write = m.addFunction(hitType, hitFunction(TLB_WRITE).body());
  const flushes = addFlushes(m, places);
  const helpers = {
    flags: m.addFunction(type, flagsFunction().body()),
    hit: read,
    hitWrite: write,
    bulk: m.addFunction(type, bulkFunction({ read, write }).body()),
    loadSegment: m.addFunction(m.type(['i32', 'i32', 'i32'], []), loadSegmentFunction().body()),
    flushNonGlobal: flushes.nonGlobal,
    flushPage: flushes.page,
    hypercall,
  };
  m.addFunction(type, dispatcher(new QuickSite(places, helpers), names, slow).body(), 'slow');
  m.addFunction(m.type(...checkType), checkFunction(places, helpers, segment).body(), 'segment');
  const enterType = m.type(['i32', 'i32', 'i32', 'i64'], ['i32']);
  const enter = m.addFunction(enterType, enterFunction(places, helpers).body());
  const eventType = m.type(['i32', 'i32', 'i32'], ['i32']);
  m.addFunction(eventType, enterHere(places, helpers, enter).body(), 'enter');
  const faultType = m.type([], ['i32']);
  m.addFunction(faultType, faultFunction(places, helpers, enter).body(), 'fault');
  const ways = { enter, acknowledge, due, deliver };
  m.addFunction(faultType, interruptFunction(places, helpers, ways).body(), 'interrupt');
  return m.encode();
}

/** `(id)`: one case for each quick way, and the slow path behind them all. */
function dispatcher(q: QuickSite, names: readonly string[], slow: number): Code {
  const { c } = q;
  q.decline = c.block();
  const labels = new Map(Object.keys(WAYS).map((name) => [name, c.block()]));
  for (const name of labels.keys()) if (!names.includes(name)) bug(`no slow path named ${name}`);
  c.get(0).brTable(
    names.map((name) => labels.get(name) ?? q.decline),
    q.decline,
  );
  for (const name of [...labels.keys()].reverse()) {
    c.end();
    WAYS[name]?.(q);
    c.i32(0).op('return');
  }
  c.end();
  c.get(0).call(slow);
  return c;
}

/** `enter` with RIP as it stands: no 64-bit number comes from JavaScript. */
function enterHere(places: Places, helpers: Helpers, enter: number): Code {
  const q = new QuickSite(places, helpers, 3);
  for (const param of [0, 1, 2]) q.c.get(param);
  q.load('rip').call(enter);
  return q.c;
}

/** SDM 2B RDTSC. */
function rdtsc(q: QuickSite): void {
  const { c } = q;
  q.load('cr4').i32(CR4_TSD).op('i32.and').i32(0).op('i32.ne');
  q.load('cpl').i32(0).op('i32.ne').op('i32.and').brIf(q.decline);
  q.unlessExits(POLICY_RDTSC);
  q.pushRetired();
  q.load('skipped').op('i64.add');
  q.load('tscOffset').op('i64.add').set(q.v);
  c.get(q.st).get(q.v).i64(0xffffffffn).op('i64.and').mem('i64.store', RET_AT);
  c.get(q.st)
    .get(q.v)
    .i64(32n)
    .op('i64.shr_u')
    .mem('i64.store', RET_AT + 16);
}

/** SDM 2B STI. */
function sti(q: QuickSite): void {
  const { c } = q;
  q.load('cpl');
  q.load('eflags').i32(EFLAGS_IOPL_SHIFT).op('i32.shr_u').i32(3).op('i32.and');
  c.op('i32.gt_u').brIf(q.decline);
  q.load('eflags').i32(EFLAGS_IF).op('i32.and').iff();
  c.i32(0).op('return').end();
  q.store('eflags', () => q.load('eflags').i32(EFLAGS_IF).op('i32.or'));
  q.store('shadow', () => c.i32(SHADOW_STI));
  q.store('shadowAt', () => {
    q.pushRetired();
    c.i64(2n).op('i64.add');
  });
  q.checkInterrupts();
}

/** At CPL 0, so that no alignment is checked: what AC decides is whether SMAP is in force. SDM 2A CLAC, 2B STAC. */
function setAc(q: QuickSite): void {
  const { c } = q;
  q.store('eflags', () => {
    q.load('eflags').i32(~EFLAGS_AC).op('i32.and');
    c.i32(EFLAGS_AC).i32(0).get(q.st).mem('i32.load', ARG_AT).op('select').op('i32.or');
  });
  q.useSupervisorTlb();
}

/** SDM 2B SWAPGS. */
function swapgs(q: QuickSite): void {
  const { c } = q;
  const at = SEG_AT + GS * SEG_STRIDE + SEG_BASE;
  c.get(q.st).mem('i64.load', at).set(q.v);
  c.get(q.st);
  q.load('kernelGsBase').mem('i64.store', at);
  q.store('kernelGsBase', () => c.get(q.v));
}

/** SDM 2B WRFSBASE/WRGSBASE. */
function writeSegmentBase(q: QuickSite): void {
  const { c } = q;
  c.get(q.st)
    .mem('i64.load', ARG_AT + 16)
    .tee(q.v);
  c.get(q.v).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne').brIf(q.decline);
  c.get(q.st).mem('i32.load', ARG_AT).i32(SEG_STRIDE).op('i32.mul');
  c.get(q.st)
    .op('i32.add')
    .get(q.v)
    .mem('i64.store', SEG_AT + SEG_BASE);
}

/** CR2, which every page fault asks for, and CR3. SDM 2B MOV. */
function readControl(q: QuickSite): void {
  const { c, st, v } = q;
  q.unlessExitsUncounted(POLICY_CR_READ);
  c.get(st).mem('i32.load', ARG_AT).i32(2).op('i32.sub').i32(1).op('i32.gt_u').brIf(q.decline);
  c.get(st).mem('i32.load', ARG_AT).i32(2).op('i32.eq').iff();
  q.count(POLICY_CR_READ, COUNTED.readCr2);
  c.else();
  q.count(POLICY_CR_READ, COUNTED.readCr3);
  c.end();
  q.load('cr2');
  q.load('cr3');
  c.get(st).mem('i32.load', ARG_AT).i32(2).op('i32.eq').op('select').set(v);
  c.get(st).get(v).mem('i64.store', RET_AT);
}

/** CR3, to which every switch between processes writes; what it refuses is not for here. SDM 2B MOV, 3A 4.10.4.1. */
function writeControl(q: QuickSite): void {
  const { c, st, v } = q;
  c.get(st).mem('i32.load', ARG_AT).i32(3).op('i32.ne').brIf(q.decline);
  q.unlessExitsUncounted(POLICY_CR_WRITE);
  c.get(st)
    .mem('i64.load', ARG_AT + 16)
    .tee(v)
    .i64(BigInt(CR3_RESERVED_HI) << 32n)
    .op('i64.and');
  c.op('i64.eqz').op('i32.eqz').brIf(q.decline);
  q.load('cr4').i32(CR4_PCIDE).op('i32.and').op('i32.eqz');
  c.get(v).i64(0n).op('i64.lt_s').op('i32.and').brIf(q.decline);
  c.get(v);
  q.load('cr3').op('i64.eq').iff();
  q.count(POLICY_CR_WRITE, COUNTED.rewriteCr3);
  c.else();
  q.count(POLICY_CR_WRITE, COUNTED.writeCr3);
  c.end();
  q.store('cr3', () => c.get(v).i64(CR3_STORED).op('i64.and'));
  c.call(q.helpers.flushNonGlobal);
}

/** SDM 2A INVLPG. */
function invlpg(q: QuickSite): void {
  q.unlessExitsUncounted(POLICY_INVLPG);
  q.count(POLICY_INVLPG, COUNTED.invlpg);
  q.c.get(q.st).mem('i64.load', ARG_AT).call(q.helpers.flushPage);
}

function hypercall(q: QuickSite): void {
  q.c.call(q.helpers.hypercall).op('return');
}

function bulk(q: QuickSite): void {
  q.c.get(q.st).call(q.helpers.bulk).op('i32.eqz').brIf(q.decline);
}
