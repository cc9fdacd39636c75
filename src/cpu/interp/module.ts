// Tier 0's WebAssembly: the hot function with its br_table over handlers, and one small module for each cold handler.

import type { Decoded } from '../decoded.ts';
import { fallsThrough, type Program } from '../isa/ir.ts';
import { REGION_BUDGET, REGION_FAULT } from '../jit/region.ts';
import { flagsFunction } from '../lower/flags.ts';
import { lowerProgram } from '../lower/lower.ts';
import type { Helpers, KnownFlags } from '../lower/site.ts';
import { X87_QUICK } from '../lower/x87-module.ts';
import { FIELDS } from '../state.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import { emitCount, emitHandlerCount } from './counters.ts';
import { emitFetchEntry, emitLinear, emitLookup, type LookupLocals } from './lookup.ts';
import {
  H_COUNT,
  HANDLER_END,
  HANDLER_GUARD,
  HANDLER_HEAD,
  HANDLER_REGION,
  R_CHAIN,
  R_CHAINABLE,
  R_FALL_CHAIN,
  R_HANDLER,
  R_LEFT,
  R_LENGTH,
  R_NEXT,
  R_TARGET,
  RECORD_BYTES,
  type Shape,
} from './records.ts';
import { regionRunner } from './region-runner.ts';
import { type Exits, pushTarget, RecordSite } from './site.ts';

/** Why the hot function returned. */
export const STOP_BUDGET = 0;
export const STOP_FAULT = 1;
export const STOP_ATTENTION = 2;

/** What a cold handler asks for. */
const COLD_NEXT = 0;
const COLD_FAULT = 1;
const COLD_LOOKUP = 2;
const COLD_AGAIN = 3;

/** What a handler is generated from. */
export interface HandlerSpec {
  readonly d: Decoded;
  readonly program: Program;
  readonly shape: Shape;
  readonly known: KnownFlags | null;
  /** Its record is a branch's: the target stands where the immediate would. */
  readonly branches: boolean;
}

export interface ModuleContext {
  readonly memoryPages: number;
  readonly tableSize: number;
  /** Entries of a block after which it is hot: a power of two. */
  readonly threshold: number;
  /** Address of the counters (`COUNTERS`), for --stats; 0: nothing is counted, which costs nothing. */
  readonly counters: number;
  slowId(name: string): number;
}

export function importHelpers(m: ModuleBuilder): Omit<Helpers, 'flags'> {
  return {
    load: m.importFunction('e', 'load', ['f64', 'i32', 'i32'], ['i32']),
    rmw: m.importFunction('e', 'rmw', ['f64', 'i32', 'i32'], ['i32']),
    store: m.importFunction('e', 'store', ['f64', 'i32', 'i32'], ['i32']),
    probe: m.importFunction('e', 'probe', ['f64', 'i32', 'i32'], ['i32']),
    segment: m.importFunction('e', 'segment', ['i32', 'i32', 'i32', 'i32'], ['i32']),
    slow: m.importFunction('e', 'slow', ['i32'], ['i32']),
    x87: m.importFunction('e', 'x87', X87_QUICK, ['i32']),
  };
}

/** The main module: exports `run(state, record) -> stop` and `flags(state)`. */
export function hotModule(hot: readonly HandlerSpec[], context: ModuleContext): Uint8Array {
  const m = new ModuleBuilder();
  const helpers = importHelpers(m);
  const find = m.importFunction('e', 'find', ['i32'], ['i32']);
  const heat = m.importFunction('e', 'heat', ['i32'], []);
  const fault = m.importFunction('e', 'fault', [], ['i32']);
  const interrupt = m.importFunction('e', 'interrupt', [], ['i32']);
  m.importMemory('e', 'memory', context.memoryPages);
  m.importTable('e', 'table', context.tableSize);
  const jumpCache = m.importGlobal('e', 'jumpCache', 'i32');
  const cold = m.type(['i32', 'i32', 'i32'], ['i32']);
  const region = m.type(['i32', 'i32'], ['i64']);
  const flags = m.addFunction(m.type(['i32'], ['i32']), flagsFunction().body(), 'flags');
  const runnerType = m.type(['i32', 'i32'], ['i32']);
  const runner = m.addFunction(runnerType, regionRunner(region, jumpCache, context).body());
  const hotFunction = new HotFunction(
    hot,
    { ...helpers, flags },
    { find, heat, fault, interrupt, cold, runner, jumpCache },
    context,
  );
  m.addFunction(m.type(['i32', 'i32'], ['i32']), hotFunction.emit().body(), 'run');
  return m.encode();
}

/** Cold handlers: exports `f0`, `f1` ... `(state, dataTlb, record) -> what next`. Imports `flags` of the main module. */
export function coldModule(specs: readonly HandlerSpec[], context: ModuleContext): Uint8Array {
  const m = new ModuleBuilder();
  const helpers = { ...importHelpers(m), flags: m.importFunction('e', 'flags', ['i32'], ['i32']) };
  m.importMemory('e', 'memory', context.memoryPages);
  const type = m.type(['i32', 'i32', 'i32'], ['i32']);
  specs.forEach((spec, i) => {
    m.addFunction(type, coldBody(spec, helpers, context), `f${i}`);
  });
  return m.encode();
}

function coldBody(spec: HandlerSpec, helpers: Helpers, context: ModuleContext): Uint8Array {
  const c = new Code(3);
  const leave = (why: number) => c.i32(why).op('return');
  const storeRip = (push: () => void) => {
    c.get(0);
    push();
    c.mem('i64.store', FIELDS.rip.at);
    leave(COLD_LOOKUP);
  };
  const exits: Exits = {
    next: () => leave(COLD_NEXT),
    branch(always) {
      if (!always) c.iff();
      storeRip(() => site.pushTarget());
      if (!always) c.end();
      storeRip(() => site.pushNext());
    },
    jump() {
      const target = c.take('i64');
      c.set(target);
      storeRip(() => c.get(target));
    },
    ended: () => leave(COLD_LOOKUP),
    again: () => leave(COLD_AGAIN),
    faulted: () => leave(COLD_FAULT),
  };
  const site = new RecordSite(c, helpers, { st: 0, tlb: 1, rec: 2 }, spec, exits);
  lowerProgram(spec.program, site, context);
  c.i32(COLD_NEXT);
  return c.body();
}

/**
 * The hot function. Nested loops, outermost first:
 *   reload    the state may have changed: read TLB base, attention, RIP again; a fault that is delivered comes here
 *   lookup    `rip` is where to go: fetch TLB, jump cache, else `find`
 *   enter     `rec` begins a block: pay for it out of the budget
 *   dispatch  `rec` is the next record
 */
class HotFunction implements LookupLocals {
  private readonly c = new Code(2);
  readonly st = 0;
  private readonly start = 1;
  private readonly tlb = this.c.take('i32');
  private readonly rec = this.c.take('i32');
  readonly rip = this.c.take('i64');
  private readonly patch = this.c.take('i32');
  readonly t = this.c.take('i32');
  readonly u = this.c.take('i32');
  readonly lin = this.c.take('i64');
  private reload = 0;
  private faulted = 0;
  private lookup = 0;
  private enter = 0;
  private dispatch = 0;
  private readonly hot: readonly HandlerSpec[];
  private readonly helpers: Helpers;
  private readonly find: number;
  private readonly heat: number;
  private readonly fault: number;
  private readonly interrupt: number;
  private readonly coldType: number;
  private readonly runner: number;
  private readonly jumpCache: number;
  private readonly context: ModuleContext;

  constructor(
    hot: readonly HandlerSpec[],
    helpers: Helpers,
    indexes: Readonly<
      Record<'find' | 'heat' | 'fault' | 'interrupt' | 'cold' | 'runner' | 'jumpCache', number>
    >,
    context: ModuleContext,
  ) {
    this.hot = hot;
    this.helpers = helpers;
    this.find = indexes.find;
    this.heat = indexes.heat;
    this.fault = indexes.fault;
    this.interrupt = indexes.interrupt;
    this.coldType = indexes.cold;
    this.runner = indexes.runner;
    this.jumpCache = indexes.jumpCache;
    this.context = context;
  }

  emit(): Code {
    const { c } = this;
    this.reload = c.loop();
    this.faulted = c.block();
    c.get(this.st).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    c.get(this.st).mem('i32.load', FIELDS.attention.at).iff();
    this.stopAtBoundary(STOP_ATTENTION);
    c.end();
    c.get(this.st).mem('i64.load', FIELDS.rip.at).set(this.rip);
    c.i32(0).set(this.patch);
    this.lookup = c.loop();
    c.get(this.start).iff();
    c.get(this.start).set(this.rec).i32(0).set(this.start);
    c.else();
    this.emitLookup();
    c.end();
    this.enter = c.loop();
    this.emitEnter();
    this.dispatch = c.loop();
    this.emitDispatch();
    c.end().end().end().op('unreachable').end();
    c.call(this.fault).brIf(this.reload);
    this.stop(STOP_FAULT);
    c.end().op('unreachable');
    return c;
  }

  private stop(why: number): void {
    this.c.i32(why).op('return');
  }

  /** Between two instructions: an interrupt may be all that is wanted. */
  private stopAtBoundary(why: number): void {
    this.c.call(this.interrupt).brIf(this.reload);
    this.stop(why);
  }

  /** From `rip` to `rec`: the fetch TLB gives the page, the jump cache the record. */
  private emitLookup(): void {
    const { c } = this;
    emitCount(c, this.context.counters, 'lookups', () => c.i64(1n));
    c.get(this.st).get(this.rip).mem('i64.store', FIELDS.rip.at);
    // Looking is an effect (TLB fills, faults): not when nothing may run any more.
    c.get(this.st).mem('i32.load', FIELDS.budget.at).i32(0).op('i32.le_s').iff();
    c.get(this.st).i32(0).mem('i32.store', FIELDS.rec.at);
    this.stopAtBoundary(STOP_BUDGET);
    c.end();
    const found = c.block();
    const miss = c.block();
    emitLookup(c, this, this.jumpCache, miss);
    c.set(this.rec);
    c.get(this.patch).iff();
    c.get(this.patch).get(this.rec).mem('i32.store', 0);
    c.end();
    c.br(found);
    c.end();
    c.get(this.st).i32(0).mem('i32.store', FIELDS.rec.at);
    c.get(this.patch).call(this.find).tee(this.rec).op('i32.eqz').brIf(this.faulted);
    c.end();
  }

  private emitEnter(): void {
    const { c } = this;
    c.get(this.st)
      .mem('i32.load', FIELDS.budget.at)
      .get(this.rec)
      .mem('i32.load8_u', R_LEFT)
      .op('i32.sub')
      .tee(this.t);
    c.i32(0).op('i32.lt_s').iff();
    this.storeOwnRip();
    this.stopAtBoundary(STOP_BUDGET);
    c.end();
    c.get(this.st).get(this.t).mem('i32.store', FIELDS.budget.at);
  }

  /** RIP = that of the instruction of `rec`. */
  private storeOwnRip(): void {
    const { c } = this;
    c.get(this.st);
    c.get(this.st)
      .mem('i64.load', FIELDS.ripPage.at)
      .get(this.rec)
      .mem('i64.load16_u', R_NEXT)
      .op('i64.add');
    c.get(this.rec).mem('i64.load8_u', R_LENGTH).op('i64.sub').mem('i64.store', FIELDS.rip.at);
    c.get(this.st).get(this.rec).mem('i32.store', FIELDS.rec.at);
  }

  private emitDispatch(): void {
    const { c } = this;
    const fall = c.block();
    const taken = c.block();
    const cold = c.block();
    const own = [HANDLER_END, HANDLER_GUARD, HANDLER_HEAD, HANDLER_REGION];
    const cases = [...own, ...this.hot].map(() => c.block()).reverse();
    emitHandlerCount(c, this.context.counters, this.rec, R_HANDLER, this.t);
    c.get(this.rec).mem('i32.load16_u', R_HANDLER).brTable(cases, cold);
    c.end();
    c.br(taken); // END: its target is the fall-through.
    c.end();
    this.emitGuard();
    c.end();
    this.emitHead();
    c.end();
    this.emitRegion();
    for (const spec of this.hot) {
      c.end();
      this.emitHandler(spec, taken, fall);
    }
    c.end();
    this.emitCold();
    c.end();
    this.emitChain(R_CHAIN, 1, () => {
      c.get(this.st)
        .mem('i64.load', FIELDS.ripPage.at)
        .get(this.rec)
        .mem('i64.load32_s', R_TARGET)
        .op('i64.add');
    });
    c.end();
    this.emitChain(R_FALL_CHAIN, 2, () => {
      c.get(this.st)
        .mem('i64.load', FIELDS.ripPage.at)
        .get(this.rec)
        .mem('i64.load16_u', R_NEXT)
        .op('i64.add');
    });
  }

  /** To the record that `chain` holds, else by lookup, which fills it in if the target lies in the same page. */
  private emitChain(chain: number, chainable: number, pushRip: () => void): void {
    const { c } = this;
    c.get(this.rec).mem('i32.load', chain).tee(this.t).iff();
    c.get(this.t).set(this.rec).br(this.enter);
    c.end();
    pushRip();
    c.set(this.rip);
    c.get(this.st).mem('i32.load', FIELDS.codeMode.at).i32(64).op('i32.ne').iff();
    c.get(this.rip).i64(0xffffffffn).op('i64.and').set(this.rip);
    c.end();
    c.get(this.rec).i32(chain).op('i32.add').i32(0);
    c.get(this.rec)
      .mem('i32.load8_u', R_CHAINABLE)
      .i32(chainable)
      .op('i32.and')
      .op('select')
      .set(this.patch);
    c.br(this.lookup);
  }

  /** The second page of a crossing instruction must still be the one that it was decoded from. */
  private emitGuard(): void {
    const { c } = this;
    c.get(this.st).mem('i64.load', FIELDS.ripPage.at).i64(4096n).op('i64.add').set(this.lin);
    emitLinear(c, this, this.lin);
    emitFetchEntry(c, this);
    c.mem('i64.load', 0).get(this.lin).op('i64.eq');
    c.get(this.t)
      .mem('i32.load', 8)
      .get(this.rec)
      .mem('i32.load', R_TARGET)
      .op('i32.eq')
      .op('i32.and')
      .iff();
    this.next();
    c.end();
    // Give the budget back, and find the block again through the slow way.
    c.get(this.st)
      .get(this.st)
      .mem('i32.load', FIELDS.budget.at)
      .i32(1)
      .op('i32.add')
      .mem('i32.store', FIELDS.budget.at);
    this.storeOwnRip();
    c.get(this.st).i32(0).mem('i32.store', FIELDS.rec.at);
    c.i32(0).call(this.find).tee(this.rec).op('i32.eqz').brIf(this.faulted);
    c.br(this.enter);
  }

  /** Counts entries; at each multiple of the threshold the second tier hears of it. */
  private emitHead(): void {
    const { c } = this;
    c.get(this.rec)
      .get(this.rec)
      .mem('i32.load', H_COUNT)
      .i32(1)
      .op('i32.add')
      .tee(this.t)
      .mem('i32.store', H_COUNT);
    c.get(this.t)
      .i32(this.context.threshold - 1)
      .op('i32.and')
      .op('i32.eqz')
      .iff();
    c.get(this.rec).call(this.heat);
    c.get(this.rec)
      .mem('i32.load16_u', R_HANDLER)
      .i32(HANDLER_REGION)
      .op('i32.eq')
      .brIf(this.dispatch);
    c.end();
    this.next();
  }

  /** Into translated code, which pays for its blocks itself. What it returns: see region.ts. */
  private emitRegion(): void {
    const { c } = this;
    c.get(this.st).get(this.st).mem('i32.load', FIELDS.budget.at);
    c.get(this.rec).mem('i32.load8_u', R_LEFT).op('i32.add').mem('i32.store', FIELDS.budget.at);
    c.get(this.st).get(this.rec).call(this.runner).set(this.t);
    c.get(this.st).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb); // CLAC or STAC may have run there.
    c.get(this.t).op('i32.eqz').brIf(this.reload);
    c.get(this.t).i32(REGION_BUDGET).op('i32.gt_u').iff();
    c.get(this.t)
      .i32(RECORD_BYTES - 1)
      .op('i32.and')
      .op('i32.eqz')
      .iff();
    c.get(this.t).set(this.rec).br(this.enter);
    c.end();
    c.get(this.t).set(this.patch);
    c.get(this.st).mem('i64.load', FIELDS.rip.at).set(this.rip).br(this.lookup);
    c.end();
    c.get(this.t).i32(REGION_FAULT).op('i32.eq').brIf(this.faulted);
    this.stopAtBoundary(STOP_BUDGET);
  }

  private next(): void {
    this.c.get(this.rec).i32(RECORD_BYTES).op('i32.add').set(this.rec).br(this.dispatch);
  }

  private emitHandler(spec: HandlerSpec, taken: number, fall: number): void {
    const { c } = this;
    const exits: Exits = {
      next: () => this.next(),
      branch: (always) => {
        if (spec.d.variant.osize === 16) {
          // The target is truncated to 16 bits: never chained.
          if (!always) c.op('i32.eqz').brIf(fall);
          pushTarget(c, this.st, this.rec, spec.d.variant.mode, 16);
          c.set(this.rip).i32(0).set(this.patch).br(this.lookup);
        } else if (always) {
          c.br(taken);
        } else {
          c.brIf(taken).br(fall);
        }
      },
      jump: () => {
        c.set(this.rip).i32(0).set(this.patch).br(this.lookup);
      },
      ended: () => {
        c.br(this.reload);
      },
      again: () => this.again(),
      faulted: () => {
        c.br(this.faulted);
      },
    };
    const locals = { st: this.st, tlb: this.tlb, rec: this.rec };
    lowerProgram(spec.program, new RecordSite(c, this.helpers, locals, spec, exits), this.context);
    if (!spec.program.ends || fallsThrough(spec.program)) this.next();
    else c.op('unreachable');
  }

  private again(): void {
    const { c } = this;
    c.get(this.st)
      .mem('i32.load', FIELDS.budget.at)
      .i32(1)
      .op('i32.sub')
      .tee(this.t)
      .i32(0)
      .op('i32.lt_s')
      .iff();
    this.storeOwnRip();
    c.get(this.st).i32(1).mem('i32.store', FIELDS.stop.at);
    this.stop(STOP_BUDGET);
    c.end();
    c.get(this.st).get(this.t).mem('i32.store', FIELDS.budget.at).br(this.dispatch);
  }

  private emitCold(): void {
    const { c } = this;
    c.get(this.st).get(this.tlb).get(this.rec);
    c.get(this.rec)
      .mem('i32.load16_u', R_HANDLER)
      .callIndirect(this.coldType)
      .tee(this.t)
      .op('i32.eqz')
      .iff();
    // It may have moved it.
    c.get(this.st).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    this.next();
    c.end();
    c.get(this.t).i32(COLD_FAULT).op('i32.eq').brIf(this.faulted);
    c.get(this.t).i32(COLD_LOOKUP).op('i32.eq').brIf(this.reload);
    this.again();
  }
}
