// Tier 0 as an engine: the hot function, its imports, and what happens when it stops.

import { bug } from '../../base/errors.ts';
import { GP } from '../control-bits.ts';
import type { Engine, EngineParts, Stop } from '../core.ts';
import { BATCH, FREE_DROPS, MOST_BYTES, THRESHOLD, Tier1 } from '../jit/tier.ts';
import { EXIT_VECTOR } from '../policy.ts';
import { checkSegment } from '../segment-check.ts';
import { hypercall } from '../slow/identity.ts';
import { slowPaths } from '../slow/registry.ts';
import { FIELDS, MODE_KEY_LIMIT } from '../state.ts';
import { CodeCache, MAX_BLOCK, ROOM_ENOUGH, ROOM_SHIFT } from './blocks.ts';
import { COUNTERS, countersAt, handlerCountsAt, TABLE_SIZE } from './counters.ts';
import { DecodeTables } from './decode-tables.ts';
import { formNumber, Handlers } from './handlers.ts';
import { type ModuleContext, STOP_ATTENTION, STOP_BUDGET } from './module.ts';
import {
  compiledHot,
  compiledWarm,
  decoderModule,
  learnedByBuild,
  x87Function,
} from './modules.ts';
import { quickCalls } from './quick-calls.ts';
import { type QuickDecode, quickDecode } from './quick-decode.ts';
import { quickFind } from './quick-find.ts';
import { quickWalks, type SlowAccesses } from './quick-walk.ts';
import { R_ASIZE, R_LEFT, R_LENGTH, R_NEXT, R_OSIZE, RECORD_BYTES } from './records.ts';

const REGION_SLOTS = 8192;
/** Raised instead of a fault by an access that the engine has to make again: no vector, and no exit. */
const RESTART = EXIT_VECTOR + 0xff;

const paths = [...slowPaths.values()];
/** Of a slow path's number, for golden texts. */
export const slowNameOf = (id: number): string => paths[id]?.name ?? `${id}`;
const slowNames = paths.map((p) => p.name);
const slowIds = new Map(paths.map((p, id) => [p.name, id]));

export function slowNumber(name: string): number {
  return slowIds.get(name) ?? bug(`no slow path named ${name}`);
}

export interface InterpreterOptions {
  /** Hot blocks are translated, after `threshold` entries. */
  readonly tiered?: boolean;
  readonly threshold?: number;
  /** Hot blocks in one module of translated code. */
  readonly batch?: number;
  /** WebAssembly of translated code that may be alive at once. */
  readonly mostBytes?: number;
  /** How often a page's translated code may be dropped before the page has to wait for more. */
  readonly freeDrops?: number;
  /** Most instructions of a block. */
  readonly maxBlock?: number;
  /** What costs time to count is counted too. */
  readonly counting?: boolean;
  /** False: decode.ts decodes every instruction, as tests want it to compare. */
  readonly quickDecode?: boolean;
}

export class Interpreter implements Engine {
  readonly name: string;
  readonly tier: Tier1 | null;
  readonly cache: CodeCache;
  readonly handlers: Handlers;
  private readonly run_: (state: number, start: number) => number;
  private readonly p: EngineParts;
  private readonly cx: EngineParts['cx'];
  private readonly i32: Int32Array;
  private readonly u8: Uint8Array;
  /** Word indexes of the fields that every slow path asks for. */
  private readonly recWord: number;
  private readonly modeWord: number;
  /** Record at which the budget last ran out (0: between blocks): what a sampling profiler reads. */
  interrupted = 0;
  private readonly counting: boolean;
  private accesses = 0;
  private slowCalls = 0;
  private finds = 0;
  private running = false;
  private readonly second = () => this.secondPage();
  private restarting = false;

  constructor(p: EngineParts, options: InterpreterOptions = {}) {
    const { tiered = false, threshold = THRESHOLD, counting = false } = options;
    const { batch = BATCH, mostBytes = MOST_BYTES, freeDrops = FREE_DROPS } = options;
    const { maxBlock = MAX_BLOCK } = options;
    this.counting = counting;
    this.p = p;
    this.cx = p.cx;
    this.i32 = p.views.i32;
    this.u8 = p.views.u8;
    this.recWord = (p.state.base + FIELDS.rec.at) >> 2;
    this.modeWord = (p.state.base + FIELDS.codeMode.at) >> 2;
    this.name = tiered ? 'jit' : 'interpreter';
    const { layout, views, mmu } = p;
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE });
    const context: ModuleContext = {
      memoryPages: 1,
      tableSize: TABLE_SIZE,
      threshold,
      counters: counting ? countersAt(layout) : 0,
      slowId: slowNumber,
    };
    const tables = new DecodeTables(views, layout);
    const learned = learnedByBuild();
    if (learned) tables.load(learned, formNumber);
    const quick =
      options.quickDecode === false ? null : quickDecode(decoderModule(), p.memory, tables.at);
    const ways = quickCalls(p.memory, layout, slowNames, {
      slow: (id) => this.slow(id),
      hypercall: () => {
        this.slowCalls++;
        return hypercall.run(p.cx);
      },
      segment: (seg, offset, bytes, writes) =>
        checkSegment(p.state, seg, offset >>> 0, bytes, writes !== 0),
      acknowledge: p.acknowledge,
      due: p.due,
      deliver: p.deliver,
    });
    p.cx.enter = ways.enter;
    const imports: Record<string, unknown> = {
      memory: p.memory,
      table,
      jumpCache: layout.engine,
      ...quickWalks(p.memory, layout, this.slowAccesses(quick, tiered, maxBlock)),
      segment: ways.segment,
      slow: ways.slow,
      fault: ways.fault,
      interrupt: ways.interrupt,
      x87: x87Function(p.memory),
      heat: (head: number) => this.tier?.heat(head),
    };
    const hot = compiledHot(context);
    const { exports } = new WebAssembly.Instance(hot.module, { e: imports });
    this.run_ = exports.run as (state: number, start: number) => number;
    imports.flags = exports.flags;
    this.handlers = new Handlers({
      hot,
      warm: compiledWarm,
      context,
      table,
      imports,
      numbers: tables,
    });
    const decoding = { tables, quick };
    this.cache = new CodeCache(views, layout, this.handlers, mmu, decoding, {
      heads: tiered,
      maxBlock,
    });
    this.tier = tiered
      ? this.createTier(table, imports, context, { batch, mostBytes, freeDrops })
      : null;
  }

  /** For what quick-walk.ts does not do. */
  private slowAccesses(decode: QuickDecode | null, heads: boolean, maxBlock: number): SlowAccesses {
    const { mmu, memory, layout } = this.p;
    const find = (patch: number) => {
      this.finds++;
      return this.find(patch);
    };
    const markFrame = (frame: number) => this.cache.markFrame(frame);
    return {
      load: (va, bytes, stack) => {
        this.accesses++;
        return mmu.loadSlow(va, bytes, stack);
      },
      rmw: (va, bytes, stack) => {
        this.accesses++;
        return mmu.rmwSlow(va, bytes, stack);
      },
      store: (va, bytes, stack) => {
        this.accesses++;
        return mmu.storeSlow(va, bytes, stack);
      },
      probe: (va, bytes, stack) => {
        this.accesses++;
        return mmu.probeSlow(va, bytes, stack);
      },
      loadDevice: (va, bytes, stack) => {
        this.accesses++;
        return mmu.loadDevice(va, bytes, stack);
      },
      storeDevice: (va, bytes, stack) => {
        this.accesses++;
        return mmu.storeDevice(va, bytes, stack);
      },
      find: decode ? quickFind({ memory, layout, decode, heads, maxBlock, find, markFrame }) : find,
    };
  }

  private createTier(
    table: WebAssembly.Table,
    imports: Record<string, unknown>,
    { slowId, threshold }: ModuleContext,
    limits: { batch: number; mostBytes: number; freeDrops: number },
  ): Tier1 {
    const { views, layout, state } = this.p;
    table.grow(REGION_SLOTS);
    const tier = new Tier1({
      views,
      layout,
      state,
      cache: this.cache,
      table,
      imports,
      firstSlot: TABLE_SIZE,
      ...limits,
      threshold,
      slowId,
    });
    this.cache.onDrop = (block) => tier.dropped(block);
    return tier;
  }

  run(): Stop {
    const { state } = this.p;
    let start = 0;
    this.running = true;
    for (;;) {
      const stop = this.run_(state.base, start);
      start = 0;
      if (stop === STOP_ATTENTION) return this.stopped('attention');
      if (stop === STOP_BUDGET) {
        const budget = state.get(FIELDS.budget) | 0;
        const rec = state.get(FIELDS.rec);
        if (rec !== 0) this.interrupted = rec + Math.max(budget, 0) * RECORD_BYTES;
        if (budget <= 0) return this.stopped('budget');
        start = this.cache.copyPartial(rec, budget);
        continue;
      }
      this.settleFault();
      if (!this.restarting) return this.stopped('fault');
      this.restarting = false;
      const gpa = this.p.mmu.fetch(this.linearRip());
      if (gpa < 0) bug('an instruction that ran cannot be fetched again');
      this.cache.isolate(gpa);
    }
  }

  /** Numbers for --stats; those of the hot function only with `counting`. */
  stats(): Record<string, number> {
    const { cache, tier, handlers } = this;
    const counters: Record<string, number> = {};
    if (this.counting && tier) {
      COUNTERS.forEach((name, i) => {
        counters[name] = Number(this.p.views.i64[(countersAt(this.p.layout) >> 3) + i]);
      });
    }
    return {
      'blocks decoded': cache.decoded,
      'blocks dropped': cache.dropped,
      'instructions decoded in JavaScript': cache.asked,
      handlers: handlers.count,
      'lookups in JavaScript': this.finds,
      'slow paths': this.slowCalls,
      'accesses in JavaScript': this.accesses,
      ...tier?.stats(),
      ...counters,
    };
  }

  /** How often each handler that has an example was run by tier 0, where that is counted. */
  executed(): Map<string, number> {
    const first = handlerCountsAt(this.p.layout);
    const counts = new Map<string, number>();
    this.handlers.examples.forEach((example, n) => {
      if (example !== undefined && this.counting) counts.set(example, this.p.views.u32[first + n]!);
    });
    return counts;
  }

  pending(): number {
    if (!this.running) return 0;
    const rec = this.i32[this.recWord] as number;
    return rec === 0 ? 0 : (this.u8[rec + R_LEFT] as number);
  }

  currentRip(): number {
    const rec = this.running ? (this.i32[this.recWord] as number) : 0;
    return rec === 0 ? this.p.state.getVa(FIELDS.rip) : this.ripOf(rec);
  }

  mayActNow(): boolean {
    return this.pending() <= 1;
  }

  restart(): void {
    this.restarting = true;
    this.p.state.set(FIELDS.faultVector, RESTART);
  }

  codeAt(gpa: number, bytes: number): boolean {
    return this.cache.hasCode(gpa, bytes);
  }

  codeWritten(gpa: number, bytes: number): void {
    this.cache.written(gpa, bytes);
    if (!this.tier || !this.running) return;
    // Translated code goes from block to block by itself: without budget it comes back here first.
    this.p.state.withholdBudget();
  }

  private stopped(stop: Stop): Stop {
    this.running = false;
    return stop;
  }

  /** A fault leaves RIP at the instruction and gives back what the block had paid for it and the rest. */
  private settleFault(): void {
    const { state, views } = this.p;
    const rec = state.get(FIELDS.rec);
    if (rec === 0) return; // The fetch itself faulted: RIP is set, nothing was paid.
    state.set(FIELDS.budget, state.get(FIELDS.budget) + (views.u8[rec + R_LEFT] as number));
    state.setVa(FIELDS.rip, this.ripOf(rec));
  }

  private ripOf(rec: number): number {
    const { state, views } = this.p;
    const start = (views.u16[(rec + R_NEXT) >> 1] as number) - (views.u8[rec + R_LENGTH] as number);
    const rip = state.getVa(FIELDS.ripPage) + start;
    return state.get(FIELDS.codeMode) === 64 ? rip : rip >>> 0;
  }

  private slow(id: number): number {
    this.slowCalls++;
    const { cx, i32, u8 } = this;
    const { insn } = cx;
    const rec = i32[this.recWord] as number;
    insn.length = u8[rec + R_LENGTH] as number;
    insn.osize = u8[rec + R_OSIZE] as number;
    insn.asize = u8[rec + R_ASIZE] as number;
    insn.mode = i32[this.modeWord] as number;
    const path = paths[id] ?? bug(`no slow path ${id}`);
    return path.run(cx);
  }

  /** The record at RIP; 0 after raising a fault. `patch`: address of the chain field that led here, or 0. */
  private find(patch: number): number {
    const { state, mmu, views } = this.p;
    const modeKey = this.limitedKey(state.segBase(1));
    if (modeKey < 0) return 0;
    const gpa = mmu.fetch(this.linearRip());
    if (gpa < 0) return 0;
    if (!mmu.isRam(gpa)) {
      this.p.undecodable(gpa, 'not-ram');
      return 0;
    }
    const known = this.cache.remembered(gpa, modeKey);
    if (known !== 0) {
      if (patch !== 0) views.i32[patch >> 2] = known;
      return known;
    }
    let record = this.cache.find(gpa, modeKey);
    if (record !== 0) {
      const crossed = this.cache.secondPageOf(record);
      const gpa2 = crossed < 0 ? 0 : this.secondPage();
      if (gpa2 < 0) return 0;
      if (crossed >= 0 && (gpa2 & ~0xfff) !== (crossed & ~0xfff)) record = 0;
    }
    let emptied = false;
    if (record === 0) {
      emptied = this.cache.makeRoom();
      record = this.cache.decode(gpa, modeKey, this.second);
      if (record === 0) {
        const { failure } = this.cache;
        if (failure === 'limit') state.raise(GP, 0);
        else if (failure !== 'second-page') this.p.undecodable(gpa, failure);
        return 0;
      }
    }
    this.cache.remember(record);
    if (patch !== 0 && !emptied) views.i32[patch >> 2] = record;
    return record;
  }

  private linearRip(): number {
    const { state } = this.p;
    const linear = state.getVa(FIELDS.rip) + state.segBase(1);
    return state.get(FIELDS.codeMode) === 64 ? linear : linear >>> 0;
  }

  /** The mode key, with the place where CS ends if that matters in this page; -1 after raising #GP(0). SDM 3A 5.3. */
  private limitedKey(base: number): number {
    const { state } = this.p;
    const modeKey = state.get(FIELDS.modeKey);
    if ((modeKey & MODE_KEY_LIMIT) === 0) return modeKey;
    const rip = state.get(FIELDS.rip);
    const limit = state.get(FIELDS.csLimit);
    if (rip > limit) {
      state.raise(GP, 0);
      return -1;
    }
    const room = limit - rip + ((base + rip) & 0xfff) + 1;
    return room < ROOM_ENOUGH ? modeKey | (room << ROOM_SHIFT) : modeKey;
  }

  /** Physical address of the page behind RIP's; -1 after raising a fault. */
  private secondPage(): number {
    const next = Math.floor(this.linearRip() / 4096) * 4096 + 4096;
    const is64 = this.p.state.get(FIELDS.codeMode) === 64;
    const gpa = this.p.mmu.fetch(is64 ? next : next >>> 0);
    if (gpa >= 0 && !this.p.mmu.isRam(gpa)) {
      this.p.undecodable(gpa, 'not-ram');
      return -1;
    }
    return gpa;
  }
}
