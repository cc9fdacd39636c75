// Tier 1's unit of translation: the hot blocks of one page that jump to each other, as one WebAssembly function.

import type { Decoded } from '../decoded.ts';
import type { Program } from '../isa/ir.ts';
import { type LowerOptions, lowerProgram } from '../lower/lower.ts';
import type { Helpers } from '../lower/site.ts';
import { programOf } from '../program.ts';
import { FIELDS } from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { type BlockFrame, BlockSite } from './block-site.ts';
import { dropRepeatedChecks } from './checks.ts';
import { dropDeadFlags, type FlagsKnown, flagsAfter } from './flags.ts';
import { specialise } from './fold.ts';
import { BlockLocals } from './locals.ts';
import { type BlockInsn, type Place, type Plan, planBlock } from './plan.ts';

/** Why a region returned. RIP is in the state, but after a fault: then `rec` says which instruction. */
export const REGION_LOOKUP = 0;
export const REGION_FAULT = 1;
export const REGION_BUDGET = 2;

export interface RegionBlock {
  readonly insns: readonly Decoded[];
  /** Offset of the first instruction in the page. */
  readonly offset: number;
  /** Tier 0's records: the block's head, and its first instruction. */
  readonly head: number;
  readonly record: number;
  /** The code that follows may have changed under it: what comes next is looked up. */
  readonly leaves: boolean;
}

export interface RegionSpec {
  /** In order of offset. */
  readonly blocks: readonly RegionBlock[];
  /** RIP of byte 0 of the page: the code runs only where the page is mapped there. */
  readonly page: bigint;
  readonly mode: 16 | 32 | 64;
  readonly flat: boolean;
  readonly recordBytes: number;
}

const ST = 0;
const ENTRY = 1;

/** Emits `(state, index of the block to begin with) -> why it returned`. */
export function compileRegion(spec: RegionSpec, helpers: Helpers, options: LowerOptions): Code {
  return new RegionCompiler(spec, helpers, options).compile();
}

class RegionCompiler {
  private readonly c = new Code(2);
  private readonly spec: RegionSpec;
  private readonly helpers: Helpers;
  private readonly options: LowerOptions;
  private readonly blocks: readonly BlockInsn[][];
  private readonly plan: Plan;
  private readonly locals: BlockLocals;
  private readonly tlb = this.c.take('i32');
  private readonly t = this.c.take('i32');
  private readonly next = this.c.take('i32');
  private readonly rip = this.c.take('i64');
  private readonly bits: 16 | 32 | 64;
  private faultLabel = 0;
  private exitLabel = 0;
  private loopLabel = 0;

  constructor(spec: RegionSpec, helpers: Helpers, options: LowerOptions) {
    this.spec = spec;
    this.helpers = helpers;
    this.options = options;
    this.bits = spec.mode === 64 ? 64 : 32;
    this.blocks = spec.blocks.map((b) => specialiseAt(b, spec.page, this.bits));
    this.plan = wholePlan(this.blocks);
    this.locals = new BlockLocals(this.c, ST, this.plan);
  }

  compile(): Code {
    const { c, spec } = this;
    c.get(ST).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    this.locals.reload();
    c.get(ENTRY).set(this.next);
    this.faultLabel = c.block();
    this.exitLabel = c.block();
    this.loopLabel = c.loop();
    const labels = spec.blocks.map(() => c.block()).reverse();
    c.get(this.next).brTable(labels.slice(0, -1), labels.at(-1) as number);
    spec.blocks.forEach((b, i) => {
      c.end();
      this.block(b, i);
    });
    c.op('unreachable').end();
    c.end();
    c.get(ST).get(this.rip).mem('i64.store', FIELDS.rip.at);
    this.locals.storeAll();
    c.get(this.next).op('return');
    c.end();
    this.locals.storeAll();
    c.i32(REGION_FAULT);
    return c;
  }

  private block(b: RegionBlock, index: number): void {
    this.pay(b);
    this.locals.allDirty();
    let known: FlagsKnown = null;
    const insns = this.blocks[index] as BlockInsn[];
    insns.forEach((insn, i) => {
      const record = b.record + i * this.spec.recordBytes;
      this.instruction(insn, record, known);
      known = flagsAfter(insn.program, known);
    });
    if (fallsThrough(insns.at(-1)?.program)) this.goTo(b, insns.at(-1) as BlockInsn, index, true);
  }

  /** As tier 0 does on entering a block; without the budget for it, it is tier 0's. */
  private pay(b: RegionBlock): void {
    const { c } = this;
    c.get(ST)
      .mem('i32.load', FIELDS.budget.at)
      .i32(b.insns.length)
      .op('i32.sub')
      .tee(this.t)
      .i32(0)
      .op('i32.lt_s')
      .iff();
    c.get(ST).i32(b.head).mem('i32.store', FIELDS.rec.at);
    c.i64(this.ripAt(b.offset)).set(this.rip).i32(REGION_BUDGET).set(this.next).br(this.exitLabel);
    c.end();
    c.get(ST).get(this.t).mem('i32.store', FIELDS.budget.at);
  }

  private instruction(insn: BlockInsn, record: number, known: FlagsKnown): void {
    const { c } = this;
    const skips = insn.program.nodes.some((n) => n.op === 'skip');
    const skipTo = skips ? c.block() : 0;
    const site = new BlockSite(this.frame(insn), insn, record, known, skipTo);
    lowerProgram(insn.program, site, this.options);
    if (skips) c.end();
  }

  private frame(insn: BlockInsn): BlockFrame {
    const { c } = this;
    return {
      c,
      helpers: this.helpers,
      st: ST,
      tlb: this.tlb,
      locals: this.locals,
      flat: this.spec.flat,
      note: (record) => {
        c.get(ST).i32(record).mem('i32.store', FIELDS.rec.at);
      },
      pushRip: (offset) => c.i64(this.ripAt(offset)),
      pushTarget: (offset, by, bits) =>
        c.i64(BigInt.asUintN(bits, this.spec.page + BigInt(offset) + by)),
      fault: () => c.br(this.faultLabel),
      jump: () => {
        c.set(this.rip).i32(REGION_LOOKUP).set(this.next).br(this.exitLabel);
      },
      branch: (always, by) => this.branch(insn, always, by),
      ended: () => c.i32(REGION_LOOKUP).op('return'),
      again: () => c.op('unreachable'), // Repeated string instructions stay in tier 0.
    };
  }

  private branch(insn: BlockInsn, always: boolean, by: number): void {
    const { c } = this;
    const index = this.blocks.findIndex((b) => b.includes(insn));
    const b = this.spec.blocks[index] as RegionBlock;
    const end = insn.offset + insn.d.length;
    if (always) return this.jumpTo(b, end + by, index, false);
    c.iff();
    this.jumpTo(b, end + by, index, false);
    c.end();
    this.goTo(b, insn, index, true);
  }

  private goTo(b: RegionBlock, last: BlockInsn, index: number, fall: boolean): void {
    this.jumpTo(b, last.offset + last.d.length, index, fall);
  }

  /** To the block at an offset of the page: by falling into it, by a branch, or by leaving. */
  private jumpTo(b: RegionBlock, offset: number, index: number, fall: boolean): void {
    const { c } = this;
    const target = b.leaves ? -1 : this.spec.blocks.findIndex((x) => x.offset === offset);
    if (target >= 0 && fall && target === index + 1) return;
    if (target >= 0) {
      c.i32(target).set(this.next).br(this.loopLabel);
      return;
    }
    c.i64(this.ripAt(offset)).set(this.rip).i32(REGION_LOOKUP).set(this.next).br(this.exitLabel);
  }

  private ripAt(offset: number): bigint {
    return BigInt.asUintN(this.bits, this.spec.page + BigInt(offset));
  }
}

function specialiseAt(b: RegionBlock, page: bigint, bits: 32 | 64 | 16): BlockInsn[] {
  let offset = b.offset;
  const at = b.insns.map((d) => {
    offset += d.length;
    return offset - d.length;
  });
  const programs = b.insns.map((d, i) =>
    specialise(programOf(d), d, BigInt.asUintN(bits, page + BigInt((at[i] as number) + d.length))),
  );
  const final = dropDeadFlags(dropRepeatedChecks(programs));
  return b.insns.map((d, i) => ({ d, program: final[i] as Program, offset: at[i] as number }));
}

/** Everything that any block touches lives in a local; everything that any of them writes is stored at every exit. */
function wholePlan(blocks: readonly (readonly BlockInsn[])[]): Plan {
  const places = new Set<Place>();
  const written = new Set<Place>();
  for (const plan of blocks.map((b) => planBlock(b))) {
    for (const p of plan.places) places.add(p);
    for (const p of plan.written) written.add(p);
  }
  // The lazy flags are one value in four fields: kept together or not at all.
  if ([...written].some((p) => p.startsWith('fl'))) {
    for (const f of ['flRes', 'flX', 'flAux', 'flOp'] as const) {
      places.add(f);
      written.add(f);
    }
  }
  return { places, loaded: places, written, canFault: true };
}

/** Can control reach the end of the last instruction? */
function fallsThrough(program: Program | undefined): boolean {
  const last = program?.nodes.at(-1);
  if (!program || !last || program.nodes.some((n) => n.op === 'skip')) return true;
  if (last.op === 'fault') return !(last.when.op === 'const' && last.when.value === 1n);
  return !(last.op === 'branch' || last.op === 'jump' || (last.op === 'call' && last.ends));
}
