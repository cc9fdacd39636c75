// Tier 1's unit of translation: the hot blocks of one page that jump to each other, as one WebAssembly function.

import type { Decoded } from '../decoded.ts';
import { ENTRY_INDEX_MASK } from '../interp/lookup.ts';
import { R_CHAIN, R_FALL_CHAIN, RECORD_BYTES } from '../interp/records.ts';
import type { Program } from '../isa/ir.ts';
import { type LowerOptions, lowerProgram } from '../lower/lower.ts';
import type { Helpers } from '../lower/site.ts';
import { FIELDS } from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { type FlagsKnown, flagsAfter } from './flags.ts';
import { type JitForm, jitForm, liveParts } from './forms.ts';
import { type Group, type Member, mergedChecks } from './merged-checks.ts';
import { Mirror } from './mirror.ts';
import { groupsOf, PageCaches } from './page-cache.ts';
import { Residents, readLater, usageOf } from './residents.ts';
import { type Exits, type Ground, type Placed, StateSite } from './state-site.ts';
import { type Traits, traitsOf } from './traits.ts';
import { emitTurn, type Place } from './turn.ts';
import { type Unit, unitsOf } from './units.ts';

/**
 * What a region returns, an i64. The low half says where control goes on: by lookup of the RIP in the state; to a fault, of which
 * `rec` says the instruction; to an offset from the page; into another region, by the jump cache's word for it in the high half; or
 * it is an address, in whose low bits (a record is 32 bytes) stands
 * what it is: a record (0), whose instruction has not begun; a record + REGION_UNPAID, of a block that the budget does not
 * reach; or a chain field, which holds the next record or is to hold it. The high half is the offset that goes with it.
 */
export const REGION_LOOKUP = 0;
export const REGION_FAULT = 1;
export const REGION_FAR = 2;
export const REGION_OTHER = 3;
export const REGION_UNPAID = 1;
/** What the runner returns for the latter, once RIP and `rec` stand in the state. */
export const REGION_BUDGET = 2;
/** From a unit to a block of the region outside: `next` is its index; or `rip` says which. */
const INSIDE = 4;
const TURN = 5;

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
  /** Null: every indirect jump leaves. */
  readonly place: Place | null;
  readonly withText?: boolean;
}

/** A block with what is known of its instructions. */
interface Prepared {
  readonly block: RegionBlock;
  readonly forms: readonly JitForm[];
  readonly programs: readonly Program[];
}

/** The unit being emitted. */
interface Inside {
  readonly unit: Unit;
  readonly residents: Residents;
  /** Labels of its ends: of all (with what the region is to return), of a fault, of an instruction that is left to tier 0. */
  readonly leave: number;
  readonly fault: number;
  readonly elsewhere: number;
  /** The unit and the loops in it that are open here, innermost last. */
  readonly open: Open[];
}

/** A loop that is open. `labels`: of what it consists of, by the index of each block. */
interface Open {
  readonly unit: Unit;
  readonly loop: number;
  readonly labels: ReadonlyMap<number, number>;
}

const ST = 0;
const ENTRY = 1;
const NO_MEMBERS: readonly null[] = [];

/** Emits `(state, the jump cache's word for the block to begin with) -> i64`, see REGION_LOOKUP. */
export function compileRegion(spec: RegionSpec, helpers: Helpers, options: LowerOptions): Code {
  return new RegionCompiler(spec, helpers, options).compile();
}

/**
 * The blocks stand one behind the other, each behind the end of its own label: a jump forwards is a branch to that label,
 * a jump backwards goes through the table at the top. Small loops are units: registers in locals, a loop of their own.
 */
class RegionCompiler {
  private readonly c: Code;
  private readonly spec: RegionSpec;
  private readonly options: LowerOptions;
  private ground: Ground;
  private readonly mirror: Mirror;
  private readonly prepared: readonly Prepared[];
  private readonly units: readonly Unit[];
  private readonly tlb: number;
  private readonly next: number;
  private readonly rip: number;
  private readonly budget: number;
  /** The record of the instruction that may be left to tier 0. */
  private readonly redo: number;
  /** Labels of the ends: with what is to be returned, for tier 0 to do the instruction, for a fault. */
  private out = 0;
  private elsewhere = 0;
  private fault = 0;
  private inside: Inside | null = null;
  private readonly byOffset = new Map<number, number>();
  private labels: number[] = [];
  private top = 0;
  /** Where to go with an indirect jump's target in `rip`; 0: out. */
  private turn = 0;
  /** The block being emitted. */
  private index = 0;

  constructor(spec: RegionSpec, helpers: Helpers, options: LowerOptions) {
    const c = new Code(2, spec.withText ?? false);
    this.c = c;
    this.spec = spec;
    this.options = options;
    this.tlb = c.take('i32');
    this.next = c.take('i32');
    this.rip = c.take('i64');
    this.budget = c.take('i32');
    this.redo = c.take('i32');
    this.mirror = new Mirror(c, ST);
    const { mode, flat } = spec;
    const registers = this.mirror;
    const shared = { c, helpers, st: ST, tlb: this.tlb, mode, flat };
    this.ground = { ...shared, registers, pages: null };
    spec.blocks.forEach((b, i) => {
      this.byOffset.set(b.offset, i);
    });
    this.prepared = spec.blocks.map((block) => {
      const forms = block.insns.map(jitForm);
      return { block, forms, programs: liveParts(forms) };
    });
    this.units = unitsOf(
      this.prepared.map((p) => ({ insns: p.block.insns.length, next: this.successors(p) })),
    );
  }

  /** Blocks of the region that this one can jump to or fall into. */
  private successors({ block, forms }: Prepared): number[] {
    const last = block.insns.at(-1);
    const form = forms.at(-1);
    if (!last || !form || block.leaves) return [];
    const end = endOf(block);
    const offsets = form.branches ? [end + last.immLo[0]] : [];
    if (form.fallsThrough || (form.branches && isConditional(form))) offsets.push(end);
    return offsets.flatMap((offset) => this.byOffset.get(offset) ?? []);
  }

  compile(): Code {
    const { c } = this;
    const { blocks } = this.spec;
    c.get(ST).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    c.get(ST).mem('i32.load', FIELDS.budget.at).set(this.budget);
    this.out = c.block('i64');
    this.fault = c.block();
    this.elsewhere = c.block();
    if (blocks.length > 1) this.allBlocks();
    else if (this.units[0]) this.unit(this.units[0]);
    else this.block(this.prepared[0] as Prepared, 0);
    this.emitEnds();
    return c;
  }

  private allBlocks(): void {
    const { c } = this;
    c.get(ENTRY).set(this.next);
    this.top = c.loop();
    if (this.spec.place !== null && this.mayTurn()) this.turn = c.block();
    this.labels = [];
    const into = new Map<Unit, number>();
    for (let i = this.prepared.length - 1; i >= 0; i--) {
      const unit = this.unitAt(i);
      if (unit && i === unit.last && unit.first < i) into.set(unit, c.block());
      this.labels[i] = c.block();
    }
    c.get(this.next).i32(ENTRY_INDEX_MASK).op('i32.and');
    c.brTable(this.labels.slice(0, -1), this.labels.at(-1) as number);
    for (const [i, p] of this.prepared.entries()) {
      c.end();
      const unit = this.unitAt(i);
      if (unit) this.enterUnit(unit, i, into.get(unit));
      else this.block(p, i);
    }
    if (this.turn !== 0 && this.spec.place !== null) this.endTurn(this.spec.place);
    c.end();
  }

  private endTurn(place: Place): void {
    const { c, rip, next, top, out } = this;
    c.end();
    const miss = c.block();
    emitTurn(c, { st: ST, rip, entry: ENTRY, next }, place, this.spec.mode, miss);
    c.brIf(top);
    c.get(next)
      .op('i64.extend_i32_u')
      .i64(32n)
      .op('i64.shl')
      .i64Halves(REGION_OTHER, 0)
      .op('i64.or');
    c.br(out).end();
    this.lookup();
    c.br(out);
  }

  /** A switch, an indirect call, or a call within the page, which comes back. */
  private mayTurn(): boolean {
    return this.prepared.some(({ block, forms }) => {
      const name = block.insns.at(-1)?.insn.name;
      const form = forms.at(-1);
      if (!form || form.fallsThrough) return false;
      if (name === 'jmp') return !form.branches;
      return name === 'call' && (!form.branches || this.byOffset.has(endOf(block)));
    });
  }

  /** At the end of block `i`'s label: `next` says where the unit begins, which follows behind the last of its labels. */
  private enterUnit(unit: Unit, i: number, into: number | undefined): void {
    const { c } = this;
    if (into !== undefined) {
      c.i32(1 + i - unit.first).set(this.next);
      if (i < unit.last) {
        c.br(into);
        return;
      }
      c.end();
    }
    this.unit(unit);
  }

  private unitAt(index: number): Unit | undefined {
    return this.units.find((u) => u.first <= index && index <= u.last);
  }

  /** Blocks whose registers live in locals. With several of them, `next` says which is first. */
  private unit(unit: Unit): void {
    const { c } = this;
    const members = this.prepared.slice(unit.first, unit.last + 1);
    const insns = members.flatMap(({ block, programs }) =>
      block.insns.map((d, i) => ({ d, program: programs[i] as Program })),
    );
    const { used, written } = usageOf(insns);
    const residents = new Residents(c, ST, used, written);
    const pages = new PageCaches(c, groupsOf(insns));
    const outside = this.ground;
    this.ground = { ...outside, registers: residents, pages };
    residents.load();
    pages.begin();
    const leave = c.block('i64');
    const fault = c.block();
    const elsewhere = c.block();
    this.inside = { unit, residents, leave, fault, elsewhere, open: [] };
    this.loop(unit);
    c.op('unreachable').end();
    c.get(this.redo).op('i64.extend_i32_u').br(leave).end();
    c.i64Halves(REGION_FAULT, 0).end();
    residents.store();
    residents.end();
    pages.end();
    this.ground = outside;
    this.inside = null;
    if (this.top !== 0) {
      const result = c.take('i64');
      c.tee(result).i64Halves(INSIDE, 0).op('i64.eq').brIf(this.top);
      if (this.turn !== 0) c.get(result).i64Halves(TURN, 0).op('i64.eq').brIf(this.turn);
      c.get(result);
      c.release('i64', result);
    }
    c.br(this.out);
  }

  /**
   * A loop of a unit, and the loops in it. `next` is 0, and it goes on with its first block, or says which block it is to
   * be: 1 for the unit's first.
   */
  private loop(unit: Unit): void {
    const { c } = this;
    const inside = this.inside as Inside;
    const loop = unit.loops ? c.loop() : 0;
    const parts = partsOf(unit);
    const labels = new Map<number, number>();
    inside.open.push({ unit, loop, labels });
    if (parts.length > 1) {
      for (const part of parts.toReversed()) {
        const label = c.block();
        for (let i = part.first; i <= part.last; i++) labels.set(i, label);
      }
      const first = labels.get(unit.first) as number;
      const table = [first];
      for (let i = inside.unit.first; i <= unit.last; i++) table.push(labels.get(i) ?? first);
      // Nearly always: V8 makes the table a jump by address.
      c.get(this.next).op('i32.eqz').brIf(first);
      c.get(this.next).brTable(table, first);
    }
    for (const part of parts) {
      if (parts.length > 1) c.end();
      if (part.loops && part !== unit) this.loop(part);
      else this.block(this.prepared[part.first] as Prepared, part.first);
    }
    if (loop !== 0) c.end();
    inside.open.pop();
  }

  /** One way out: each `return` costs code, and V8 counts it towards compiling the function again. */
  private emitEnds(): void {
    const { c } = this;
    c.op('unreachable').end();
    c.get(this.redo).op('i64.extend_i32_u').br(this.out).end();
    this.returnNow(REGION_FAULT);
    c.end();
    this.storeBudget();
  }

  /** From where a slow path has left everything in the state, the budget too. */
  private returnNow(kind: number): void {
    this.c.i64Halves(kind, 0).op('return');
  }

  private storeBudget(): void {
    this.c.get(ST).get(this.budget).mem('i32.store', FIELDS.budget.at);
  }

  private block({ block: b, forms, programs }: Prepared, index: number): void {
    this.index = index;
    if (!this.inside) this.mirror.begin();
    else if (this.inside.unit.first < this.inside.unit.last) this.c.i32(0).set(this.next);
    this.pay(b);
    let known: FlagsKnown = null;
    let offset = b.offset;
    const members = this.inside ? NO_MEMBERS : this.mergedChecks(b, forms, programs);
    const wanted = this.inside ? null : readLater(b.insns, programs);
    b.insns.forEach((d, i) => {
      const record = b.record + i * RECORD_BYTES;
      const placed = { d, offset, record, members: members[i] ?? null };
      const program = programs[i] as Program;
      if (wanted) this.mirror.wanted = wanted[i] as number;
      this.instruction(b, placed, forms[i] as JitForm, program, known);
      if (traitsOf(program).settlesFlags) known = flagsAfter(program, known);
      offset += d.length;
    });
    if (forms.at(-1)?.fallsThrough) this.goTo(b, offset, this.fallChain(b, forms), true);
    for (const of of members) for (const { group } of of ?? []) this.end(group);
  }

  private mergedChecks(
    b: RegionBlock,
    forms: readonly JitForm[],
    programs: readonly Program[],
  ): readonly (readonly Member[] | null)[] {
    let accesses = 0;
    for (const p of programs) accesses += traitsOf(p).accesses.length;
    if (accesses < 2) return NO_MEMBERS;
    let offset = b.offset;
    const insns = b.insns.map((d, i) => {
      const { skips, repeats } = forms[i] as JitForm;
      const insn = { d, offset, program: programs[i] as Program, conditional: skips || repeats };
      offset += d.length;
      return insn;
    });
    return mergedChecks(insns, this.spec.mode, this.spec.flat);
  }

  private end(group: Group): void {
    if (group.host >= 0) this.c.release('i32', group.host);
    group.host = -1;
  }

  /** Returns what is on the stack. */
  private leave(): void {
    this.c.br(this.inside?.leave ?? this.out);
  }

  /** Where tier 0 keeps the record that follows a block that falls through, or a branch that is not taken. */
  private fallChain(b: RegionBlock, forms: readonly JitForm[]): number {
    return b.last + (forms.at(-1)?.branches ? R_FALL_CHAIN : R_CHAIN);
  }

  /** As tier 0 does on entering a block; without the budget for it, it is tier 0's. */
  private pay(b: RegionBlock): void {
    const { c, budget } = this;
    const insns = b.insns.length;
    c.i64Halves(b.head | REGION_UNPAID, b.offset)
      .get(budget)
      .i32(insns)
      .op('i32.lt_s');
    c.brIf(this.inside?.leave ?? this.out).op('drop');
    c.get(budget).i32(insns).op('i32.sub').set(budget);
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
    if (mayBeLeft(traitsOf(program), placed.members)) c.i32(placed.record).set(this.redo);
    const skipTo = form.skips ? c.block() : 0;
    let again = 0;
    if (form.repeats) {
      ground.registers.repeated();
      again = c.loop();
    }
    const exits: Exits = {
      branch: (always, target) => this.branch(b, placed, always, target),
      jump: () => this.jump(),
      ended: () => this.returnNow(REGION_LOOKUP),
      again: () => this.again(placed, again),
      faultLabel: this.inside?.fault ?? this.fault,
      settledFaultLabel: this.fault,
      elsewhereLabel: this.inside?.elsewhere ?? this.elsewhere,
      noted: () => this.storeBudget(),
      afterSlow: () => c.get(ST).mem('i32.load', FIELDS.budget.at).set(this.budget),
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
    const { c, inside, rip, turn } = this;
    c.set(rip);
    if (turn === 0) {
      this.lookup();
      this.leave();
    } else if (inside) c.i64Halves(TURN, 0).br(inside.leave);
    else c.br(turn);
  }

  /** Leaves what is to be returned for a lookup of `rip`. */
  private lookup(): void {
    this.c.get(ST).get(this.rip).mem('i64.store', FIELDS.rip.at).i64Halves(REGION_LOOKUP, 0);
  }

  /** Another round of a repeated string instruction, as tier 0 does it. */
  private again({ record, offset }: Placed, loop: number): void {
    const { c, budget } = this;
    c.get(budget).i32(1).op('i32.lt_s').iff();
    c.get(ST)
      .i32(1)
      .mem('i32.store', FIELDS.stop.at)
      .i64Halves(record | REGION_UNPAID, offset);
    this.leave();
    c.end();
    c.get(budget).i32(1).op('i32.sub').set(budget).br(loop);
  }

  /** On to an offset of the page: by falling into the next block, by a branch, by tier 0's chain, or by lookup. */
  private goTo(b: RegionBlock, offset: number, chain: number, last: boolean): void {
    const target = b.leaves ? undefined : this.byOffset.get(offset);
    if (target !== undefined) return this.within(target, last);
    const far = offset < 0 || offset >= 4096;
    this.c.i64Halves(far ? REGION_FAR : chain, offset);
    this.leave();
  }

  /** A label that leads there by itself; 0: more is needed. */
  private labelOf(b: RegionBlock, offset: number): number {
    const target = b.leaves ? undefined : this.byOffset.get(offset);
    if (target === undefined) return 0;
    const { inside, index } = this;
    if (!inside) return target > index ? (this.labels[target] as number) : 0;
    const way = wayTo(inside, index, target);
    return way && !way.dispatch ? way.label : 0;
  }

  private within(target: number, last: boolean): void {
    const { c, index, inside } = this;
    if (inside) return this.fromUnit(inside, target);
    if (target <= index) c.i32(target).set(this.next).br(this.top);
    else if (!last || target !== index + 1) c.br(this.labels[target] as number);
  }

  private fromUnit(inside: Inside, target: number): void {
    const { c } = this;
    const way = wayTo(inside, this.index, target);
    if (!way) c.i32(target).set(this.next).i64Halves(INSIDE, 0).br(inside.leave);
    else {
      if (way.dispatch) c.i32(1 + target - inside.unit.first).set(this.next);
      c.br(way.label);
    }
  }
}

/** How a block of a unit reaches another; `dispatch`: `next` has to say which it is. Null: it lies outside. */
function wayTo(
  { open }: Inside,
  index: number,
  target: number,
): { label: number; dispatch: boolean } | null {
  const { unit, loop, labels } = open.findLast(
    (o) => o.unit.first <= target && target <= o.unit.last,
  ) ?? { unit: null, loop: 0, labels: null };
  if (!unit) return null;
  if (target <= index) return { label: loop, dispatch: target !== unit.first };
  const into = unit.inner.find((u) => u.first <= target && target <= u.last);
  return {
    label: labels.get(target) as number,
    dispatch: into !== undefined && into.first < target,
  };
}

/** The loops in a unit and the blocks between them, in order. */
function partsOf(unit: Unit): Unit[] {
  const parts: Unit[] = [];
  for (let i = unit.first; i <= unit.last; ) {
    const part = unit.inner.find((u) => u.first === i) ?? {
      first: i,
      last: i,
      loops: false,
      inner: [],
    };
    parts.push(part);
    i = part.last + 1;
  }
  return parts;
}

/** May the instruction turn out to be tier 0's here? Not where an earlier one has made the check. */
function mayBeLeft({ leaves, accesses }: Traits, members: readonly Member[] | null): boolean {
  if (leaves || !members) return leaves || accesses.length > 0;
  return accesses.some((n) => !members.some((m) => m.addr === n.addr.id && m.group.host >= 0));
}

function endOf(b: RegionBlock): number {
  return b.offset + b.insns.reduce((sum, d) => sum + d.length, 0);
}

function isConditional({ program }: JitForm): boolean {
  return !program.nodes.some((n) => n.op === 'branch' && n.when === null);
}
