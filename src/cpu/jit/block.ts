// Tier 1's unit of translation: one basic block as one WebAssembly function (state) -> why it returned.

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
import { type BlockInsn, type Plan, planBlock, writesOf } from './plan.ts';

/** The block has run; RIP says what comes next. */
export const EXIT_NEXT = 0;
/** Less budget is left than the block needs: nothing has happened. */
export const EXIT_BUDGET = 1;
/** A fault is raised (or the engine was asked to restart): the state is that before the instruction at RIP. */
export const EXIT_FAULT = 2;

/** `rec` holds the running instruction's index in its low byte. */
export const MAX_BLOCK = 64;

export interface BlockSpec {
  /** The instructions, in order; only the last may end a block. */
  readonly insns: readonly Decoded[];
  /** RIP of the first, or null: it is read from the state at entry, and the code may run at any address. */
  readonly rip: bigint | null;
  /** ES, SS and DS are flat (MODE_KEY_FLAT). */
  readonly flat: boolean;
  readonly withText?: boolean;
}

/** What has been made of a block: its code, and the IR that it was made from. */
export interface BlockCode {
  readonly code: Code;
  readonly insns: readonly BlockInsn[];
  /** Names of locals, for the text. */
  readonly names: ReadonlyMap<number, string>;
}

/** Local 0 is the parameter. */
const ST = 0;

export function compileBlock(spec: BlockSpec, helpers: Helpers, options: LowerOptions): BlockCode {
  return new BlockCompiler(spec, helpers, options).compile();
}

/** The IR of a block's instructions as it will be lowered: operands constant, dead flags and repeated checks gone. */
export function specialiseBlock(spec: BlockSpec): BlockInsn[] {
  let offset = 0;
  const offsets = spec.insns.map((d) => {
    offset += d.length;
    return offset - d.length;
  });
  const programs = spec.insns.map((d, i) => {
    const end = BigInt((offsets[i] as number) + d.length);
    const bits = d.variant.mode === 64 ? 64 : 32;
    const next = spec.rip === null ? null : BigInt.asUintN(bits, spec.rip + end);
    return specialise(programOf(d), d, next);
  });
  const final: Program[] = dropDeadFlags(dropRepeatedChecks(programs));
  return spec.insns.map((d, i) => ({
    d,
    program: final[i] as Program,
    offset: offsets[i] as number,
  }));
}

class BlockCompiler {
  private readonly c: Code;
  private readonly spec: BlockSpec;
  private readonly options: LowerOptions;
  private readonly insns: readonly BlockInsn[];
  private readonly plan: Plan;
  private readonly locals: BlockLocals;
  private readonly frame: BlockFrame;
  private readonly tlb: number;
  /** RIP to leave with; and RIP at entry, where it is not known. */
  private readonly rip: number;
  private readonly entry: number;
  private readonly budget: number;
  private readonly mode: 16 | 32 | 64;
  private faultLabel = 0;
  private exitLabel = 0;
  private loopLabel = 0;
  /** Somebody leaves with a RIP of its own. */
  private exits = false;

  constructor(spec: BlockSpec, helpers: Helpers, options: LowerOptions) {
    const c = new Code(1, spec.withText ?? false);
    this.c = c;
    this.spec = spec;
    this.options = options;
    this.insns = specialiseBlock(spec);
    this.plan = planBlock(this.insns);
    this.locals = new BlockLocals(c, ST, this.plan);
    this.tlb = c.take('i32');
    this.budget = c.take('i32');
    this.rip = c.take('i64');
    this.entry = spec.rip === null ? c.take('i64') : -1;
    this.mode = spec.insns[0]?.variant.mode ?? 64;
    this.frame = {
      c,
      helpers,
      st: ST,
      tlb: this.tlb,
      locals: this.locals,
      flat: spec.flat,
      pushRip: (offset) => this.pushTarget(offset, 0n, this.mode === 64 ? 64 : 32),
      pushTarget: (offset, by, bits) => this.pushTarget(offset, by, bits),
      // Which instruction (low byte) and where it begins: the fault epilogue, and `pending` of the engine, ask.
      note: (index, offset) => {
        c.get(ST)
          .i32(index | (offset << 8))
          .mem('i32.store', FIELDS.rec.at);
      },
      fault: () => c.br(this.faultLabel),
      jump: () => {
        this.exits = true;
        c.set(this.rip).br(this.exitLabel);
      },
      ended: () => c.i32(EXIT_NEXT).op('return'),
      again: (at) => this.again(at),
    };
  }

  compile(): BlockCode {
    const { c } = this;
    this.pay();
    c.get(ST).mem('i32.load', FIELDS.dataTlb.at).set(this.tlb);
    if (this.spec.rip === null) c.get(ST).mem('i64.load', FIELDS.rip.at).set(this.entry);
    this.locals.enter();
    if (this.plan.canFault) this.faultLabel = c.block();
    this.exitLabel = c.block();
    let known: FlagsKnown = null;
    this.insns.forEach((insn, i) => {
      this.instruction(insn, i, known);
      known = flagsAfter(insn.program, known);
    });
    if (this.fallsThrough()) {
      this.frame.pushRip(this.length());
      c.set(this.rip);
      this.exits = true;
    }
    c.end();
    this.exit();
    if (this.plan.canFault) {
      c.end();
      this.faultEpilogue();
    }
    return { code: c, insns: this.insns, names: this.names() };
  }

  private exit(): void {
    const { c } = this;
    c.text?.push(';; the block is left');
    if (!this.exits) {
      c.op('unreachable');
      return;
    }
    c.get(ST).get(this.rip).mem('i64.store', FIELDS.rip.at);
    this.locals.storeDirty();
    c.i32(EXIT_NEXT).op('return');
  }

  private length(): number {
    const last = this.insns.at(-1);
    return last ? last.offset + last.d.length : 0;
  }

  /** The whole block is paid for before it begins, or it does not begin. */
  private pay(): void {
    const { c } = this;
    c.get(ST).mem('i32.load', FIELDS.budget.at).i32(this.insns.length).op('i32.sub');
    c.tee(this.budget).i32(0).op('i32.lt_s').iff();
    c.i32(EXIT_BUDGET).op('return').end();
    c.get(ST).get(this.budget).mem('i32.store', FIELDS.budget.at);
  }

  private instruction(insn: BlockInsn, index: number, known: FlagsKnown): void {
    const { c } = this;
    const { nodes } = insn.program;
    const skips = nodes.some((n) => n.op === 'skip');
    const repeats = nodes.at(-1)?.op === 'again';
    c.text?.push(`;; ${insn.d.insn.name}`);
    const skipTo = skips ? c.block() : 0;
    if (repeats) {
      this.loopLabel = c.loop();
      // From the second round on, what it writes itself is in locals only.
      for (const n of nodes) for (const w of writesOf(n, insn.d.regs)) this.locals.wrote(w.place);
    }
    // A block's state at a loop's head comes from two places: nothing is known of the flags there.
    const site = new BlockSite(this.frame, insn, index, repeats ? null : known, skipTo);
    lowerProgram(insn.program, site, this.options);
    if (repeats) c.end();
    if (skips) c.end();
  }

  private again(at: number): void {
    const { c } = this;
    c.get(ST).mem('i32.load', FIELDS.budget.at).tee(this.budget).i32(0).op('i32.le_s').iff();
    this.frame.pushRip(at);
    this.frame.jump();
    c.end();
    c.get(ST).get(this.budget).i32(1).op('i32.sub').mem('i32.store', FIELDS.budget.at);
    c.br(this.loopLabel);
  }

  /** Registers, flags and RIP as before the faulting instruction; what was paid for it and the rest is given back. */
  private faultEpilogue(): void {
    const { c } = this;
    const mask = this.mode === 64 ? null : 0xffffffffn;
    c.text?.push(';; fault epilogue');
    c.get(ST);
    this.frame.pushRip(0);
    c.get(ST).mem('i32.load', FIELDS.rec.at).tee(this.budget);
    c.i32(8).op('i32.shr_u').op('i64.extend_i32_u').op('i64.add');
    if (mask !== null) c.i64(mask).op('i64.and');
    c.mem('i64.store', FIELDS.rip.at);
    c.get(ST).get(ST).mem('i32.load', FIELDS.budget.at).i32(this.insns.length).op('i32.add');
    c.get(this.budget).i32(0xff).op('i32.and').op('i32.sub').mem('i32.store', FIELDS.budget.at);
    this.locals.storeAll();
    c.i32(EXIT_FAULT);
  }

  private pushTarget(offset: number, by: bigint, bits: 16 | 32 | 64): void {
    const { c } = this;
    const from = BigInt(offset) + by;
    if (this.spec.rip !== null) {
      c.i64(BigInt.asUintN(bits, this.spec.rip + from));
      return;
    }
    c.get(this.entry);
    if (from !== 0n) c.i64(from).op('i64.add');
    if (bits < 64) c.i64(bits === 16 ? 0xffffn : 0xffffffffn).op('i64.and');
  }

  /** Can control reach the end of the last instruction? */
  private fallsThrough(): boolean {
    const nodes = this.insns.at(-1)?.program.nodes ?? [];
    const last = nodes.at(-1);
    if (!last || nodes.some((n) => n.op === 'skip')) return true;
    if (last.op === 'fault') return !(last.when.op === 'const' && last.when.value === 1n);
    return !(last.op === 'branch' || last.op === 'jump' || (last.op === 'call' && last.ends));
  }

  private names(): ReadonlyMap<number, string> {
    const own: [number, string][] = [
      [ST, 'st'],
      [this.tlb, 'tlb'],
      [this.budget, 'budget'],
      [this.rip, 'rip'],
    ];
    if (this.entry >= 0) own.push([this.entry, 'entry']);
    return new Map([...this.locals.names(), ...own]);
  }
}
