// Specialises the IR of one instruction to its operands: immediates become constants, what follows from them is computed.

import type { Decoded } from '../decoded.ts';
import { type Effect, isValue, type Node, type Program, type Value } from '../isa/ir.ts';
import { argumentsOf } from '../lower/lower.ts';
import { binary, cast, compare, unary, unsigned } from '../reference/integers.ts';

/** Never computed here: a divisor of zero is excluded by a `fault` that stands before them. */
const DIVISIONS: ReadonlySet<string> = new Set(['divu', 'remu', 'divs', 'rems']);
/** `x op 0` is x. */
const ZERO_IS_NEUTRAL: ReadonlySet<string> = new Set(
  ['add', 'sub', 'or', 'xor', 'shl', 'shr', 'sar', 'rotl', 'rotr'], //
);

/**
 * The program with constants folded, branches of them decided, and values that nobody wants dropped. `next`: RIP of the
 * next instruction, where it is known.
 */
export function specialise(program: Program, d: Decoded, next: bigint | null): Program {
  const fold = new Fold(d, next);
  for (const node of program.nodes) if (fold.take(node) === 'end') break;
  return dropUnused({ ...program, nodes: fold.out });
}

/** Drops pure values without a use. Loads stay: they can fault and fill the TLB. */
export function dropUnused(program: Program): Program {
  const used = new Set<number>();
  const kept: Node[] = [];
  for (let i = program.nodes.length - 1; i >= 0; i--) {
    const n = program.nodes[i] as Node;
    if (isValue(n) && !used.has(n.id) && isDroppable(n)) continue;
    kept.push(n);
    for (const a of argumentsOf(n)) used.add(a.id);
    if (n.op === 'result') used.add(n.call.id);
  }
  return { ...program, nodes: kept.reverse() };
}

function isDroppable(v: Value): boolean {
  return v.op !== 'load' && v.op !== 'float' && v.op !== 'linear';
}

class Fold {
  readonly out: Node[] = [];
  private readonly d: Decoded;
  private readonly next: bigint | null;
  /** What stands for a node now, by its id. */
  private readonly now = new Map<number, Node>();

  constructor(d: Decoded, next: bigint | null) {
    this.d = d;
    this.next = next;
  }

  /** 'end': nothing after this node can run. */
  take(node: Node): 'on' | 'end' {
    if (isValue(node)) {
      const v = this.value(node);
      this.now.set(node.id, v);
      if (!this.out.includes(v)) this.out.push(v);
      return 'on';
    }
    const e = this.effect(node);
    this.now.set(node.id, e);
    if ((e.op === 'fault' || e.op === 'skip') && isConst(e.when)) {
      if (e.when.value === 0n) return 'on';
      if (e.op === 'fault') this.out.push(e);
      return 'end';
    }
    this.out.push(e);
    return 'on';
  }

  private of<T extends Value | Value | null>(v: T): T {
    return (v === null ? null : this.now.get(v.id)) as T;
  }

  private effect(e: Effect): Effect {
    switch (e.op) {
      case 'setreg':
      case 'setstate':
        return { ...e, value: this.of(e.value) };
      case 'store':
        return { ...e, addr: this.of(e.addr), value: this.of(e.value), load: this.of(e.load) };
      case 'probe':
        return { ...e, addr: this.of(e.addr) };
      case 'flags':
        return { ...e, res: this.of(e.res), x: this.of(e.x), aux: this.of(e.aux) };
      case 'setflags':
        return {
          ...e,
          set: Object.fromEntries(Object.entries(e.set).map(([f, v]) => [f, this.of(v)])),
        };
      case 'fault':
      case 'skip':
      case 'again':
        return { ...e, when: this.of(e.when) };
      case 'branch':
        return { ...e, when: this.of(e.when) };
      case 'jump':
        return { ...e, target: this.of(e.target) };
      case 'call':
        return { ...e, args: e.args.map((a) => this.of(a)) };
      case 'boundary':
      case 'bulk':
        return e;
    }
  }

  private value(v: Value): Value {
    switch (v.op) {
      case 'imm': {
        const hi = BigInt(this.d.immHi[v.n as 0 | 1]);
        const lo = BigInt(this.d.immLo[v.n as 0 | 1] >>> 0);
        return constant(v, (hi << 32n) | lo);
      }
      case 'next':
        return this.next === null ? v : constant(v, this.next);
      case 'regno':
        return constant(v, BigInt(this.d.regs[v.slot] as number));
      case 'bin':
        return this.bin({ ...v, a: this.of(v.a), b: this.of(v.b) });
      case 'un': {
        const a = this.of(v.a);
        return isConst(a) ? constant(v, unary(v.fn, v.width, a.value)) : { ...v, a };
      }
      case 'cmp': {
        const [a, b] = [this.of(v.a), this.of(v.b)];
        if (!isConst(a) || !isConst(b)) return { ...v, a, b };
        return constant(v, compare(v.fn, a.width, a.value, b.value) ? 1n : 0n);
      }
      case 'cast': {
        const a = this.of(v.a);
        return isConst(a) ? constant(v, cast(v.fn, a.width, v.width, a.value)) : { ...v, a };
      }
      case 'select': {
        const [c, a, b] = [this.of(v.c), this.of(v.a), this.of(v.b)];
        if (isConst(c)) return c.value !== 0n ? a : b;
        return { ...v, c, a, b };
      }
      case 'vec':
        return { ...v, args: v.args.map((a) => this.of(a)) };
      case 'float':
        return { ...v, a: this.of(v.a), b: this.of(v.b) };
      case 'linear':
        return { ...v, a: this.of(v.a) };
      case 'load':
        return { ...v, addr: this.of(v.addr) };
      case 'result':
        return { ...v, call: this.now.get(v.call.id) as Effect };
      default:
        return v;
    }
  }

  private bin(v: Value & { op: 'bin' }): Value {
    const { a, b, fn } = v;
    if (isConst(a) && isConst(b) && !DIVISIONS.has(fn))
      return constant(v, binary(fn, v.width, a.value, b.value));
    if (isConst(b) && b.value === 0n && ZERO_IS_NEUTRAL.has(fn)) return a;
    if (isConst(a) && a.value === 0n && (fn === 'or' || fn === 'xor' || fn === 'add')) return b;
    return v;
  }
}

function isConst(v: Value): v is Value & { op: 'const' } {
  return v.op === 'const' && v.width !== 128;
}

function constant(v: Value, value: bigint): Value {
  return { op: 'const', id: v.id, width: v.width, value: unsigned(value, v.width) };
}
