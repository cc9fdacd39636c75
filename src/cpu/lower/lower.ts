// Lowers the IR of one instruction to WebAssembly, at a site: the one translation that interpreter and JIT share.

import { bug } from '../../base/errors.ts';
import {
  type Effect,
  isValue,
  type Node,
  type Program,
  type Value,
  type Width,
} from '../isa/ir.ts';
import { slowPath } from '../slow/registry.ts';
import { ARG_AT, FIELDS, type FieldName, RET_AT } from '../state.ts';
import type { Code, ValType } from '../wasm/encode.ts';
import { Access } from './access.ts';
import { emitBin, emitCast, emitCompare, emitMask, emitUn } from './arith.ts';
import { emitDivide } from './divide.ts';
import { emitCond, emitFlag, emitFlags, emitSetFlags } from './flags.ts';
import { emitFloat } from './float.ts';
import { emitFloatCall } from './float-calls.ts';
import { loadOf, valType } from './memory-ops.ts';
import type { Site } from './site.ts';
import { x87QuickOf } from './x87-module.ts';

export interface LowerOptions {
  /** Number of a slow path, by name. */
  slowId(name: string): number;
}

const MOST_RESULTS = 4;

/** Emits `program` at `site`. Falls through at the end unless the program ends the block. */
export function lowerProgram(program: Program, site: Site, options: LowerOptions): void {
  new Lowering(program, site, options).run();
}

/**
 * Values of up to 32 bits are i32, zero-extended; 64 i64; 128 v128. A pure value with one use is emitted where it is
 * used, everything else once, into a local.
 */
export class Lowering {
  readonly site: Site;
  readonly c: Code;
  readonly program: Program;
  private readonly options: LowerOptions;
  private readonly access: Access;
  private readonly locals = new Map<number, number>();
  private readonly results = new Map<number, number>();
  private readonly inlined: ReadonlySet<number>;
  /** A slow path has run: the instruction has begun. */
  private called = false;
  private readonly taken: { type: ValType; local: number }[] = [];

  constructor(program: Program, site: Site, options: LowerOptions) {
    this.program = program;
    this.site = site;
    this.c = site.c;
    this.options = options;
    this.access = new Access(this);
    this.inlined = inlinedOf(program);
  }

  run(): void {
    for (const node of this.program.nodes) {
      if (isValue(node)) this.define(node);
      else this.effect(node);
    }
    for (const t of this.taken) this.c.release(t.type, t.local);
  }

  /** Leaves the value on the stack. */
  push(v: Value): void {
    const local = this.locals.get(v.id);
    if (local !== undefined) this.c.get(local);
    else this.compute(v);
  }

  /** A local that holds the value now (its own, if it has one). */
  inLocal(v: Value): number {
    const local = this.locals.get(v.id);
    if (local !== undefined) return local;
    const fresh = this.temp(valType(v.width));
    this.compute(v);
    this.c.set(fresh);
    this.locals.set(v.id, fresh);
    return fresh;
  }

  temp(type: ValType): number {
    const local = this.c.take(type);
    this.taken.push({ type, local });
    return local;
  }

  /** `if` the i32 on the stack: raise and leave. A site that can leave the instruction before it has begun does that. */
  faultIf(vector: number, error: number | null): void {
    if (this.site.elsewhereIf && !this.called) return this.site.elsewhereIf();
    this.c.iff();
    this.raise(vector, error);
    this.c.end();
  }

  private fault(vector: number, error: number | null): void {
    if (this.site.elsewhere && !this.called) this.site.elsewhere();
    else this.raise(vector, error);
  }

  private raise(vector: number, error: number | null): void {
    this.storeField('faultVector', () => this.c.i32(vector));
    this.storeField('faultError', () => this.c.i32(error ?? 0));
    this.storeField('faultHasError', () => this.c.i32(error === null ? 0 : 1));
    this.site.noteInstruction();
    this.site.leaveFaulted();
  }

  private storeField(name: FieldName, push: () => void): void {
    this.c.get(this.site.st);
    push();
    this.c.mem(
      FIELDS[name].bits === 64
        ? 'i64.store'
        : FIELDS[name].bits === 16
          ? 'i32.store16'
          : 'i32.store',
      FIELDS[name].at,
    );
  }

  private define(v: Value): void {
    if (this.inlined.has(v.id)) return;
    const local = this.temp(valType(v.width));
    this.compute(v);
    this.c.set(local);
    this.locals.set(v.id, local);
  }

  private compute(v: Value): void {
    const { c, site } = this;
    switch (v.op) {
      case 'const':
        return this.constant(v.width, v.value);
      case 'imm':
        if (v.width < 64 && site.pushNarrowImm?.(v.n, v.width)) return;
        site.pushImm(v.n);
        return this.narrow(v.width);
      case 'ea':
        return site.pushEa();
      case 'next':
        return site.pushNext();
      case 'regno':
        return site.pushRegNumber(v.slot);
      case 'bin':
        return emitBin(this, v);
      case 'un':
        return emitUn(this, v);
      case 'cmp':
        return emitCompare(this, v);
      case 'cast':
        return emitCast(this, v);
      case 'select':
        this.push(v.a);
        this.push(v.b);
        this.push(v.c);
        if (v.width === 128) c.out.bytes([0x1c, 1, 0x7b]);
        else c.op('select');
        return;
      case 'vec':
        return this.vec(v);
      case 'float':
        return emitFloat(this, v);
      case 'getreg':
        return site.pushReg(v.reg);
      case 'linear':
        this.push(v.a);
        return this.access.toLinear(v.seg, v.bytes, v.writes);
      case 'load':
        return this.access.load(v);
      case 'flag':
        return emitFlag(this, v.flag);
      case 'cond':
        return emitCond(this, v.cc);
      case 'getstate':
        return this.getState(v.field as FieldName, v.width);
      case 'result': {
        const kept = this.results.get(v.call.id * MOST_RESULTS + v.n);
        if (kept !== undefined) {
          c.get(kept);
          return;
        }
        c.get(site.st).mem(loadOf(v.width), RET_AT + v.n * 16);
        return emitMask(c, v.width);
      }
    }
  }

  private effect(e: Effect): void {
    const { c, site } = this;
    switch (e.op) {
      case 'setreg':
        return site.setReg(e.reg, () => this.push(e.value));
      case 'store':
        return this.access.store(e);
      case 'probe':
        return this.access.probe(e);
      case 'flags':
        return emitFlags(this, e);
      case 'setflags':
        return emitSetFlags(this, e.set);
      case 'setstate':
        return this.storeField(e.field as FieldName, () => this.push(e.value));
      case 'fault':
        if (e.when.op === 'const' && e.when.value === 1n) return this.fault(e.vector, e.error);
        this.push(e.when);
        return this.faultIf(e.vector, e.error);
      case 'call':
        this.called = true;
        if (emitFloatCall(this, e) || emitDivide(this, e)) return;
        return this.x87(e);
      case 'skip':
        this.push(e.when);
        return site.skip();
      case 'again':
        this.push(e.when);
        return site.again();
      case 'branch':
        if (e.when) this.push(e.when);
        return site.branch(e.when === null, e.n);
      case 'jump':
        this.push(e.target);
        if (this.program.variant.mode !== 64) c.i64(0xffffffffn).op('i64.and');
        return site.jump();
      case 'bulk':
        return this.bulk(e);
      case 'boundary':
        return; // Sites end a block there.
    }
  }

  private constant(width: Width, value: bigint): void {
    if (width === 64) this.c.i64(value);
    else if (width === 128) this.c.lanes('v128.const', bytesOf(value));
    else this.c.i32(Number(BigInt.asIntN(32, value)));
  }

  /** An i64 on the stack becomes a value of `width` bits. */
  private narrow(width: Width): void {
    if (width === 64) return;
    this.c.op('i32.wrap_i64');
    emitMask(this.c, width);
  }

  private vec(v: Value & { op: 'vec' }): void {
    for (const a of v.args) this.push(a);
    if (v.fn === 'i8x16.shuffle') this.c.lanes('i8x16.shuffle', v.lanes);
    else this.c.op(v.fn, v.lanes[0] ?? 0);
    if (v.width < 32) emitMask(this.c, v.width);
  }

  /** Calls a slow path whose arguments are values in locals or constants, and perhaps a code. */
  callFloat(name: string, args: readonly Value[], code: bigint | null): void {
    args.forEach((a, n) => {
      this.argument(n, a.width, () => this.push(a));
    });
    if (code !== null) this.argument(args.length, 32, () => this.c.i32(Number(code)));
    this.callSlow(name);
  }

  /** Result `n` of `call` is in a local of its own, not in the state. */
  keepResult(call: Effect, local: number, n = 0): void {
    this.results.set(call.id * MOST_RESULTS + n, local);
  }

  private getState(name: FieldName, width: Width): void {
    const { at, bits } = FIELDS[name];
    this.c
      .get(this.site.st)
      .mem(bits === 64 ? 'i64.load' : bits === 16 ? 'i32.load16_u' : 'i32.load', at);
    if (bits === 64 && width !== 64) this.narrow(width);
    else if (bits < width && width === 64) this.c.op('i64.extend_i32_u');
    else if (bits > width) emitMask(this.c, width);
  }

  /** Through the x87 helper where it has a quick way; what it declines, and all else, is a slow path. */
  private x87(e: Effect & { op: 'call' }): void {
    const { c, site } = this;
    const quick = x87QuickOf(e.name);
    if (quick === undefined) return this.slow(e);
    const [code, operand, next, address] = e.args as [Value, Value, Value, Value?];
    for (const v of [operand, address]) if (v && !isFree(v)) this.inLocal(v);
    c.i32(quick).get(site.st);
    this.push(code);
    this.push(operand);
    if (operand.width < 64) c.op('i64.extend_i32_u');
    this.push(next);
    site.pushLength();
    c.op('i64.sub');
    if (address) this.push(address);
    else c.i64(0n);
    c.call(site.helpers.x87).op('i32.eqz').iff();
    this.slow(e);
    c.end();
  }

  private slow(e: Effect & { op: 'call' }): void {
    e.args.forEach((a, n) => {
      this.argument(n, a.width, () => this.push(a));
    });
    if (e.ends) this.storeField('rip', () => this.site.pushNext());
    this.callSlow(e.name, e.ends);
    if (e.ends) this.site.ended();
  }

  private bulk(e: Effect & { op: 'bulk' }): void {
    this.called = true;
    const fns = ['movs', 'stos', 'lods', 'scas', 'cmps'];
    this.argument(0, 32, () => this.c.i32(fns.indexOf(e.fn)));
    this.argument(1, 32, () => this.c.i32(e.bytes));
    this.argument(2, 32, () => this.c.i32(this.program.variant.asize));
    this.argument(3, 64, () => {
      if (!this.site.pushSegBase('operand')) this.c.i64(0n);
    });
    this.callSlow('bulk');
  }

  private argument(n: number, width: Width, push: () => void): void {
    this.c.get(this.site.st);
    push();
    if (width < 64) this.c.op('i64.extend_i32_u');
    this.c.mem(width === 128 ? 'v128.store' : 'i64.store', ARG_AT + n * 16);
  }

  private callSlow(name: string, ends = false): void {
    const { pure = false, movesTlb = false } = slowPath(name);
    this.site.noteInstruction();
    if (!pure) this.site.beforeSlow();
    this.c.i32(this.options.slowId(name)).call(this.site.helpers.slow);
    if (!pure) this.site.afterSlow(ends);
    if (movesTlb) this.c.get(this.site.st).mem('i32.load', FIELDS.dataTlb.at).set(this.site.tlb);
    this.site.leaveFaultedIf();
  }
}

const inlinings = new WeakMap<Program, ReadonlySet<number>>();

/** Which values are emitted at their only use. The same for every site. */
function inlinedOf(program: Program): ReadonlySet<number> {
  const known = inlinings.get(program);
  if (known) return known;
  const made = planInlining(program.nodes);
  inlinings.set(program, made);
  return made;
}

function planInlining(nodes: readonly Node[]): ReadonlySet<number> {
  const inlined = new Set<number>();
  const uses = new Map<number, Node[]>();
  for (const n of nodes) {
    for (const a of argumentsOf(n)) {
      const list = uses.get(a.id);
      if (list) list.push(n);
      else uses.set(a.id, [n]);
    }
  }
  const emittedAt = new Map<number, number>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const n = nodes[i] as Node;
    emittedAt.set(n.id, i);
    if (!isValue(n)) continue;
    const users = uses.get(n.id) ?? [];
    if (isFree(n)) {
      inlined.add(n.id);
    } else if (users.length === 1) {
      const at = emittedAt.get((users[0] as Node).id) as number;
      if (canMove(nodes, i, at)) {
        inlined.add(n.id);
        emittedAt.set(n.id, at);
      }
    } else if (users.length === 0 && isPure(n)) {
      inlined.add(n.id); // Never emitted.
    }
  }
  return inlined;
}

export function argumentsOf(n: Node): readonly Value[] {
  switch (n.op) {
    case 'bin':
    case 'cmp':
    case 'float':
      return [n.a, n.b];
    case 'un':
    case 'cast':
    case 'linear':
      return [n.a];
    case 'select':
      return [n.c, n.a, n.b];
    case 'vec':
    case 'call':
      return n.args;
    case 'load':
    case 'probe':
      return [n.addr];
    case 'store':
      return n.load ? [n.addr, n.value, n.load] : [n.addr, n.value];
    case 'setreg':
    case 'setstate':
      return [n.value];
    case 'flags':
      return n.fn === 'logic' ? [n.res] : n.fn === 'mix' ? [n.res, n.aux] : [n.res, n.x, n.aux];
    case 'setflags':
      return Object.values(n.set);
    case 'fault':
    case 'skip':
    case 'again':
      return [n.when];
    case 'branch':
      return n.when ? [n.when] : [];
    case 'jump':
      return [n.target];
    case 'const':
    case 'imm':
    case 'ea':
    case 'next':
    case 'regno':
    case 'getreg':
    case 'flag':
    case 'cond':
    case 'getstate':
    case 'result':
    case 'bulk':
    case 'boundary':
      return [];
    default:
      return bug(`unknown node ${(n as Node).op}`);
  }
}

/** Costs nothing to emit again at each use. */
function isFree(v: Value): boolean {
  return v.op === 'const' || v.op === 'imm' || v.op === 'next' || v.op === 'regno';
}

const PURE = new Set([
  'const',
  'imm',
  'ea',
  'next',
  'regno',
  'bin',
  'un',
  'cmp',
  'cast',
  'select',
  'vec',
  'linear',
]);

function isPure(v: Value): boolean {
  return (
    PURE.has(v.op) || v.op === 'getreg' || v.op === 'flag' || v.op === 'cond' || v.op === 'getstate'
  );
}

/** May the value at `from` be computed at `to` instead? Reads of state must not pass writes; loads keep their order. */
function canMove(nodes: readonly Node[], from: number, to: number): boolean {
  const v = nodes[from] as Value;
  if (v.op === 'ea') return readsOnly(nodes, from, to);
  if (PURE.has(v.op)) return true;
  if (v.op === 'load' && v.rmw) return false; // Its host address is wanted again.
  if (v.op === 'getreg' || v.op === 'flag' || v.op === 'cond' || v.op === 'getstate')
    return readsOnly(nodes, from, to);
  // A float is a call through the argument slots: it must not come between the arguments of another.
  if (v.op !== 'load' && v.op !== 'result') return false;
  for (let i = from + 1; i < to; i++) {
    const n = nodes[i] as Node;
    if (!isValue(n) || n.op === 'load' || n.op === 'float') return false;
  }
  return true;
}

function readsOnly(nodes: readonly Node[], from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) {
    const n = nodes[i] as Node;
    if (!isValue(n) && n.op !== 'fault' && n.op !== 'probe' && n.op !== 'store') return false;
  }
  return true;
}

function bytesOf(value: bigint): number[] {
  return Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
