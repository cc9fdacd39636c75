// In a block without calls, accesses near one unchanged address register share the check of the first: which do, and how near.

import type { Decoded } from '../decoded.ts';
import type { Program, RegRef, SegRef, Value } from '../isa/ir.ts';
import { FIRST_HIGH } from './registers.ts';
import { registerNumber } from './residents.ts';
import { traitsOf } from './traits.ts';

/**
 * What lies further apart is checked for itself: the bytes of a check have to lie in one page, else tier 0 does the rest of
 * the block, also where no access of it crosses the page's end.
 */
const MOST_SPAN = 256;

/** Accesses at the same register values but for a constant, from `lo` to `hi`. `host`: the local with the place of `lo`, once it is checked. */
export interface Group {
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly seg: number;
  lo: number;
  hi: number;
  writes: boolean;
  count: number;
  host: number;
}

/** An access of one instruction, by the node of its address. */
export interface Member {
  readonly addr: number;
  readonly at: number;
  readonly group: Group;
}

export interface PlannedInsn {
  readonly d: Decoded;
  readonly program: Program;
  /** Of the first byte in the page. */
  readonly offset: number;
  /** Parts of it run under a condition, or again. */
  readonly conditional: boolean;
}

/** Instead of a register: none, and RIP of the page. */
const NONE = -1;
const PAGE = -2;

/** Members for each instruction of a block; null where it has none. `flat`: as in Ground. */
export function mergedChecks(
  insns: readonly PlannedInsn[],
  mode: 32 | 64,
  flat: boolean,
): (readonly Member[] | null)[] {
  return new Planner(mode, flat).plan(insns);
}

class Planner {
  private readonly mode: 32 | 64;
  private readonly flat: boolean;
  /** What each general register holds: the name of an unknown value, and how much more than that. */
  private names: number[] = [];
  private added: number[] = [];
  private next = 0;
  /** Of the address or value asked for last. */
  private base = NONE;
  private index = NONE;
  private scale = 0;
  private delta = 0;
  private groups: Group[] = [];

  constructor(mode: 32 | 64, flat: boolean) {
    this.mode = mode;
    this.flat = flat;
    this.forgetAll();
  }

  plan(insns: readonly PlannedInsn[]): (readonly Member[] | null)[] {
    const planned = insns.map((i) => this.instruction(i));
    return planned.map((members) => {
      const shared = members?.filter((m) => m.group.count > 1) ?? [];
      return shared.length === 0 ? null : shared;
    });
  }

  /** Slow paths may write any register, and move pages. */
  private forgetAll(): void {
    for (let n = 0; n < 16; n++) this.forget(n);
    this.groups = [];
  }

  private forget(n: number): void {
    this.names[n] = this.next++;
    this.added[n] = 0;
  }

  private instruction({ d, program, offset, conditional }: PlannedInsn): Member[] | null {
    const { forgets, accesses, writes } = traitsOf(program);
    if (forgets) {
      this.forgetAll();
      return null;
    }
    let members: Member[] | null = null;
    for (const n of accesses) {
      if (conditional || n.aligned) continue;
      if (n.op === 'store' && n.load) continue; // Where its load was.
      const { width } = n.op === 'load' ? n : n.value;
      const seg = this.segment(n.seg, d);
      if (seg < 0 || !this.of(n.addr, d, offset)) continue;
      const group = this.join(seg, width / 8, n.op === 'store' || n.rmw);
      members ??= [];
      members.push({ addr: n.addr.id, at: this.delta, group });
    }
    for (const n of writes) this.written(n.reg, conditional ? null : n.value, d, offset);
    this.settle();
    return members;
  }

  /** -1: its base or limit is not known to be harmless. */
  private segment(seg: SegRef, d: Decoded): number {
    const n = seg === 'operand' ? d.segment : seg;
    if (this.mode === 64) return n < 4 ? 0 : n;
    return this.flat && n !== 1 && n < 4 ? 0 : -1;
  }

  private join(seg: number, bytes: number, writes: boolean): Group {
    const { base, index, scale, delta } = this;
    const known = this.groups.find(
      (g) => g.base === base && g.index === index && g.scale === scale && g.seg === seg,
    );
    const lo = Math.min(known?.lo ?? delta, delta);
    const hi = Math.max(known?.hi ?? delta, delta + bytes);
    if (known && hi - lo <= MOST_SPAN) {
      known.lo = lo;
      known.hi = hi;
      known.writes ||= writes;
      known.count++;
      return known;
    }
    if (known) this.groups.splice(this.groups.indexOf(known), 1);
    const made = { base, index, scale, seg, lo: delta, hi: delta + bytes, writes, count: 1 };
    const group: Group = { ...made, host: -1 };
    this.groups.push(group);
    return group;
  }

  private readonly pending: { n: number; name: number; added: number }[] = [];

  /** Takes effect behind the instruction: all its values are of before it. `value` null: unknown. */
  private written(reg: RegRef, value: Value | null, d: Decoded, offset: number): void {
    if (reg.file !== 'gpr') return;
    const n = registerNumber(reg, d);
    const whole = reg.width === this.mode && n < FIRST_HIGH;
    if (whole && value && this.of(value, d, offset) && this.index === NONE)
      this.pending.push({ n, name: this.base, added: this.delta });
    else this.pending.push({ n: n & 15, name: this.next++, added: 0 });
  }

  private settle(): void {
    for (const { n, name, added } of this.pending) {
      this.names[n] = name;
      this.added[n] = added;
    }
    this.pending.length = 0;
  }

  /** Finds base, index, scale and delta of a value; false: it is not of this kind. */
  private of(v: Value, d: Decoded, offset: number): boolean {
    switch (v.op) {
      case 'ea':
        return this.ofOperand(d, offset);
      case 'getreg':
        if (v.reg.file !== 'gpr' || v.width !== this.mode) return false;
        this.begin(0);
        this.base = this.take(registerNumber(v.reg, d), 0);
        return true;
      case 'cast':
        return v.fn === 'zext' && v.a.width === this.mode && this.of(v.a, d, offset);
      case 'bin': {
        if ((v.fn !== 'add' && v.fn !== 'sub') || !this.of(v.a, d, offset)) return false;
        const by = constantOf(v.b, d);
        if (by === null) return false;
        this.delta += v.fn === 'add' ? by : -by;
        return true;
      }
      default:
        return false;
    }
  }

  private ofOperand(d: Decoded, offset: number): boolean {
    if (d.variant.asize !== this.mode || d.dispHi !== d.disp >> 31) return false;
    this.begin(d.ripRelative ? offset + d.length + d.disp : d.disp);
    if (d.base >= 0) this.base = this.take(d.base, 0);
    else if (d.ripRelative) this.base = PAGE;
    if (d.index < 0) return true;
    this.index = this.take(d.index, d.scale);
    this.scale = d.scale;
    return true;
  }

  private begin(delta: number): void {
    this.base = NONE;
    this.index = NONE;
    this.scale = 0;
    this.delta = delta;
  }

  /** Name of the value in register `n`; what is added to it goes to `delta`. */
  private take(n: number, scale: number): number {
    this.delta += (this.added[n] as number) * 2 ** scale;
    return this.names[n] as number;
  }
}

/** The small number that `v` is; null: none. */
function constantOf(v: Value, d: Decoded): number | null {
  if (v.op === 'const') return v.width > 64 ? null : Number(BigInt.asIntN(v.width, v.value));
  if (v.op !== 'imm' || v.width < 32) return null;
  const n = v.n as 0 | 1;
  return d.immHi[n] === d.immLo[n] >> 31 ? d.immLo[n] : null;
}
