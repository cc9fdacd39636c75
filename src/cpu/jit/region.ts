// Tier 1's unit of translation: the hot blocks of one page that jump to each other, as one WebAssembly function.

import type { Decoded } from '../decoded.ts';
import { R_CHAIN, R_FALL_CHAIN, RECORD_BYTES } from '../interp/records.ts';
import type { Program } from '../isa/ir.ts';
import { type LowerOptions, lowerProgram } from '../lower/lower.ts';
import type { Helpers } from '../lower/site.ts';
import { FIELDS } from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { type FlagsKnown, flagsAfter } from './flags.ts';
import { type JitForm, jitForm, liveParts } from './forms.ts';
import { Mirror } from './mirror.ts';
import {
  type Exits,
  type Ground,
  type Placed,
  type SlowAccessFunctions,
  StateSite,
} from './state-site.ts';

/**
 * Why a region returned; what is larger is an address. Of a record: it is next, and nothing has been looked up. Of a chain
 * field, which ends in other bits: RIP is in the state, and that field is to hold the record found there. After a fault
 * `rec` says which instruction; else RIP is in the state.
 */
export const REGION_LOOKUP = 0;
export const REGION_FAULT = 1;
export const REGION_BUDGET = 2;

export interface RegionBlock {
  readonly insns: readonly Decoded[];
  /** Offset of the first instruction in the page. */
  readonly offset: number;
  /** Tier 0's records: the block's head, its first instruction, and the one with the chain fields. */
  readonly head: number;
  readonly record: number;
  readonly last: number;
  /** The code that follows may have changed under it: what comes next is asked of the chain field. */
  readonly leaves: boolean;
}

export interface RegionSpec {
  /** In order of offset. The code runs wherever the page is mapped: RIP comes from the state's `ripPage`. */
  readonly blocks: readonly RegionBlock[];
  readonly mode: 32 | 64;
  readonly flat: boolean;
  readonly withText?: boolean;
}

export interface RegionHelpers extends Helpers {
  readonly slowAccess: SlowAccessFunctions;
}

const ST = 0;
const ENTRY = 1;

/** Emits `(state, index of the block to begin with) -> why it returned`. */
export function compileRegion(
  spec: RegionSpec,
  helpers: RegionHelpers,
  options: LowerOptions,
): Code {
  return new RegionCompiler(spec, helpers, options).compile();
}

/**
 * The blocks stand one behind the other, each behind the end of its own label: a jump forwards is a branch to that label,
 * a jump backwards goes through the table at the top, a block that jumps to itself has a loop of its own.
 */
class RegionCompiler {
  private readonly c: Code;
  private readonly spec: RegionSpec;
  private readonly options: LowerOptions;
  private readonly ground: Ground;
  private readonly tlb: number;
  private readonly t: number;
  private readonly next: number;
  private readonly rip: number;
  /** Labels of the ends that all blocks share. What they are told: `t` an offset in the page, `next` an address, `rip`. */
  private ends = { fault: 0, budget: 0, chain: 0, jump: 0, lookup: 0 };
  private readonly byOffset = new Map<number, number>();
  private labels: number[] = [];
  private top = 0;
  /** The block being emitted, and the label of its own loop. */
  private index = 0;
  private self = 0;

  constructor(spec: RegionSpec, helpers: RegionHelpers, options: LowerOptions) {
    const c = new Code(2, spec.withText ?? false);
    this.c = c;
    this.spec = spec;
    this.options = options;
    this.tlb = c.take('i32');
    this.t = c.take('i32');
    this.next = c.take('i32');
    this.rip = c.take('i64');
    const mirror = new Mirror(c, ST);
    const { mode, flat } = spec;
    const { slowAccess } = helpers;
    this.ground = { c, helpers, st: ST, tlb: this.tlb, mode, flat, mirror, slowAccess };
    spec.blocks.forEach((b, i) => {
      this.byOffset.set(b.offset, i);
    });
  }

  compile(): Code {
    const { c } = this;
    const { blocks } = this.spec;
    c.get(ST).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    this.ends = {
      fault: c.block(),
      budget: c.block(),
      chain: c.block(),
      jump: c.block(),
      lookup: c.block(),
    };
    if (blocks.length === 1) this.block(blocks[0] as RegionBlock, 0);
    else this.allBlocks();
    this.emitEnds();
    return c;
  }

  private allBlocks(): void {
    const { c } = this;
    const { blocks } = this.spec;
    c.get(ENTRY).set(this.next);
    this.top = c.loop();
    this.labels = blocks.map(() => c.block()).reverse();
    c.get(this.next).brTable(this.labels.slice(0, -1), this.labels.at(-1) as number);
    blocks.forEach((b, i) => {
      c.end();
      this.block(b, i);
    });
    c.end();
  }

  /** Every way out, once: each `return` costs code, and V8 counts it towards compiling the function again. */
  private emitEnds(): void {
    const { c, next, rip } = this;
    c.op('unreachable').end();
    this.pushRip();
    c.set(rip).end();
    c.get(ST).get(rip).mem('i64.store', FIELDS.rip.at);
    c.i32(REGION_LOOKUP).op('return').end();
    const record = c.take('i32');
    c.get(next).mem('i32.load', 0).tee(record).iff();
    c.get(record).op('return').end();
    c.get(ST);
    this.pushRip();
    c.mem('i64.store', FIELDS.rip.at);
    c.get(next).op('return').end();
    c.get(ST);
    this.pushRip();
    c.mem('i64.store', FIELDS.rip.at);
    c.get(ST).get(next).mem('i32.store', FIELDS.rec.at);
    c.i32(REGION_BUDGET).op('return').end();
    c.i32(REGION_FAULT);
  }

  /** RIP of the offset in `t`. */
  private pushRip(): void {
    const { c } = this;
    c.get(ST).mem('i64.load', FIELDS.ripPage.at).get(this.t).op('i64.extend_i32_s').op('i64.add');
    if (this.spec.mode !== 64) c.i64Halves(-1, 0).op('i64.and');
  }

  private block(b: RegionBlock, index: number): void {
    const { c, ground } = this;
    const forms = b.insns.map(jitForm);
    const programs = liveParts(forms);
    this.index = index;
    this.self = this.jumpsToItself(b) ? c.loop() : 0;
    ground.mirror.begin();
    this.pay(b);
    let known: FlagsKnown = null;
    let offset = b.offset;
    b.insns.forEach((d, i) => {
      const placed = { d, offset, record: b.record + i * RECORD_BYTES };
      const program = programs[i] as Program;
      this.instruction(b, placed, forms[i] as JitForm, program, known);
      known = flagsAfter(program, known);
      offset += d.length;
    });
    if (forms.at(-1)?.fallsThrough) this.goTo(b, offset, this.fallChain(b, forms), true);
    if (this.self !== 0) c.end();
  }

  /** Where tier 0 keeps the record that follows a block that falls through, or a branch that is not taken. */
  private fallChain(b: RegionBlock, forms: readonly JitForm[]): number {
    return b.last + (forms.at(-1)?.branches ? R_FALL_CHAIN : R_CHAIN);
  }

  /** As tier 0 does on entering a block; without the budget for it, it is tier 0's. */
  private pay(b: RegionBlock): void {
    const { c } = this;
    c.get(ST).mem('i32.load', FIELDS.budget.at).i32(b.insns.length).op('i32.sub');
    c.tee(this.t).i32(0).op('i32.lt_s').iff();
    c.i32(b.head).set(this.next).i32(b.offset).set(this.t).br(this.ends.budget).end();
    c.get(ST).get(this.t).mem('i32.store', FIELDS.budget.at);
  }

  private instruction(
    b: RegionBlock,
    placed: Placed,
    form: JitForm,
    program: Program,
    known: FlagsKnown,
  ): void {
    const { c, ground } = this;
    c.text?.push(`;; ${placed.d.insn.name}`);
    const skipTo = form.skips ? c.block() : 0;
    let again = 0;
    if (form.repeats) {
      ground.mirror.forgetAll(); // From the second round on they are not what they were.
      again = c.loop();
    }
    const exits: Exits = {
      branch: (always, target) => this.branch(b, placed, always, target),
      jump: () => this.jump(),
      ended: () => c.i32(REGION_LOOKUP).op('return'),
      again: () => this.again(placed, again),
      faultLabel: this.ends.fault,
    };
    const site = new StateSite(ground, placed, exits, form.repeats ? null : known, skipTo);
    lowerProgram(program, site, this.options);
    if (form.repeats) c.end();
    if (form.skips) c.end();
  }

  private branch(b: RegionBlock, { d, offset }: Placed, always: boolean, target: number): void {
    const { c } = this;
    if (always) return this.goTo(b, target, b.last + R_CHAIN, false);
    const label = this.labelOf(b, target);
    if (label !== 0) c.brIf(label);
    else {
      c.iff();
      this.goTo(b, target, b.last + R_CHAIN, false);
      c.end();
    }
    this.goTo(b, offset + d.length, b.last + R_FALL_CHAIN, true);
  }

  private jump(): void {
    this.c.set(this.rip).br(this.ends.jump);
  }

  /** Another round of a repeated string instruction, as tier 0 does it. */
  private again(placed: Placed, loop: number): void {
    const { c } = this;
    c.get(ST).mem('i32.load', FIELDS.budget.at).i32(1).op('i32.sub');
    c.tee(this.t).i32(0).op('i32.lt_s').iff();
    c.get(ST).i32(1).mem('i32.store', FIELDS.stop.at);
    c.i32(placed.record).set(this.next).i32(placed.offset).set(this.t).br(this.ends.budget).end();
    c.get(ST).get(this.t).mem('i32.store', FIELDS.budget.at).br(loop);
  }

  /** On to an offset of the page: by falling into the next block, by a branch, by tier 0's chain, or by lookup. */
  private goTo(b: RegionBlock, offset: number, chain: number, last: boolean): void {
    const { c } = this;
    const target = b.leaves ? undefined : this.byOffset.get(offset);
    if (target !== undefined) return this.within(target, last);
    c.i32(offset).set(this.t);
    if (offset < 0 || offset >= 4096) c.br(this.ends.lookup);
    else c.i32(chain).set(this.next).br(this.ends.chain);
  }

  /** A label that leads there by itself; 0: more is needed. */
  private labelOf(b: RegionBlock, offset: number): number {
    const target = b.leaves ? undefined : this.byOffset.get(offset);
    if (target === undefined || target < this.index) return 0;
    return target === this.index ? this.self : (this.labels[target] as number);
  }

  private within(target: number, last: boolean): void {
    const { c, index } = this;
    if (target === index) c.br(this.self);
    else if (target < index) c.i32(target).set(this.next).br(this.top);
    else if (!last || target !== index + 1 || this.self !== 0) c.br(this.labels[target] as number);
  }

  private jumpsToItself(b: RegionBlock): boolean {
    const last = b.insns.at(-1);
    if (!last || b.leaves || !jitForm(last).branches) return false;
    const end = b.offset + b.insns.reduce((sum, d) => sum + d.length, 0);
    return end + last.immLo[0] === b.offset;
  }
}
