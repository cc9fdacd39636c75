// In a loop, what an address register that moves by small steps points at is looked up once for each page that it enters.

import type { Decoded } from '../decoded.ts';
import type { Program, SegRef, Value } from '../isa/ir.ts';
import type { Code } from '../wasm/encode.ts';
import { registerNumber } from './residents.ts';
import { traitsOf } from './traits.ts';

/** A register may move by less than this and still be expected in the page where it was. */
const SMALL_STEP = 1024;
const MOST_GROUPS = 6;
/** No address lies in the page that begins here: it is not canonical. */
const NO_PAGE_HIGH = -0x80000000;

interface Placed {
  readonly d: Decoded;
  readonly program: Program;
}

/** What `addressKey` says of a unit's accesses that are expected in one page, for reads and for writes. */
export function groupsOf(insns: readonly Placed[]): ReadonlySet<string> {
  const jumping = jumpingRegisters(insns);
  const groups = new Set<string>();
  for (const { d, program } of insns) {
    const { movesTlb, accesses } = traitsOf(program);
    if (movesTlb) return new Set();
    for (const n of accesses) {
      const key = addressKey(n.addr, n.seg, d, n.op === 'store' || n.rmw);
      if (key === null || registersOf(n.addr, d).some((r) => (jumping >> r) & 1)) continue;
      if (groups.size < MOST_GROUPS) groups.add(key);
    }
  }
  return groups;
}

/** Names the registers that an address follows from; null: it is no sum of registers and a constant. */
export function addressKey(addr: Value, seg: SegRef, d: Decoded, writes: boolean): string | null {
  const base = baseOf(addr);
  if (base === null) return null;
  const segment = `${seg === 'operand' ? d.segment : seg}${writes ? 'w' : 'r'}`;
  if (base.op === 'getreg') return `${registerNumber(base.reg, d)} ${segment}`;
  if (d.variant.asize === 16) return null;
  if (d.index < 0) return `${d.base >= 0 ? d.base : d.ripRelative ? 'rip' : 'abs'} ${segment}`;
  return `${d.base}+${d.index}<<${d.scale} ${segment}`;
}

function registersOf(addr: Value, d: Decoded): number[] {
  const base = baseOf(addr);
  if (base?.op === 'getreg') return [registerNumber(base.reg, d)];
  return [d.base, d.index].filter((r) => r >= 0);
}

/** The register or decoded address that `v` is, but for a constant. */
function baseOf(v: Value): (Value & { op: 'getreg' | 'ea' }) | null {
  if (v.op === 'ea') return v;
  if (v.op === 'getreg') return v.reg.file === 'gpr' && v.width >= 32 ? v : null;
  if (v.op === 'cast' && v.fn === 'zext') return baseOf(v.a);
  if (v.op === 'bin' && (v.fn === 'add' || v.fn === 'sub') && isSmall(v.b, null))
    return baseOf(v.a);
  return null;
}

/** Registers that are written otherwise than by adding a small constant to them: one bit each. */
function jumpingRegisters(insns: readonly Placed[]): number {
  let jumping = 0;
  for (const { d, program } of insns) {
    for (const n of traitsOf(program).writes) {
      if (n.reg.file !== 'gpr') continue;
      const r = registerNumber(n.reg, d);
      if (!isStep(n.value, r, d)) jumping |= 1 << (r & 15);
    }
  }
  return jumping;
}

function isStep(v: Value, register: number, d: Decoded): boolean {
  if (v.op === 'ea') return d.base === register && d.index < 0 && Math.abs(d.disp) < SMALL_STEP;
  if (v.op === 'cast' && v.fn === 'zext') return isStep(v.a, register, d);
  if (v.op !== 'bin' || (v.fn !== 'add' && v.fn !== 'sub') || !isSmall(v.b, d)) return false;
  return v.a.op === 'getreg' && v.a.reg.file === 'gpr' && registerNumber(v.a.reg, d) === register;
}

/** `d` null: any constant will do. */
function isSmall(v: Value, d: Decoded | null): boolean {
  if (v.op === 'select') return isSmall(v.a, d) && isSmall(v.b, d);
  if (v.op === 'const')
    return d === null || Math.abs(Number(BigInt.asIntN(v.width, v.value))) < SMALL_STEP;
  return v.op === 'imm' && (d === null || Math.abs(d.immLo[v.n as 0 | 1]) < SMALL_STEP);
}

interface Locals {
  /** Linear address of the page (i64), and where it lies in linear memory (i32). */
  readonly page: number;
  readonly host: number;
}

export class PageCaches {
  private readonly c: Code;
  private readonly offset: number;
  private readonly groups = new Map<string, Locals>();

  constructor(c: Code, groups: ReadonlySet<string>) {
    this.c = c;
    this.offset = c.take('i64');
    for (const key of groups) this.groups.set(key, { page: c.take('i64'), host: c.take('i32') });
  }

  end(): void {
    this.c.release('i64', this.offset);
    for (const { page, host } of this.groups.values()) {
      this.c.release('i64', page);
      this.c.release('i32', host);
    }
  }

  /** Nothing has been looked up. */
  begin(): void {
    for (const { page } of this.groups.values()) this.c.i64Halves(0, NO_PAGE_HIGH).set(page);
  }

  /** Leaves the host address of the access at local `va`. `lookUp` leaves the addend of its page, from the TLB. False: no group has it. */
  hostOf(key: string | null, va: number, bytes: number, lookUp: () => void): boolean {
    const g = key === null ? undefined : this.groups.get(key);
    if (!g) return false;
    const { c } = this;
    c.get(va).get(g.page).op('i64.sub').tee(this.offset);
    c.i64Halves(4096 - bytes, 0)
      .op('i64.gt_u')
      .iff();
    lookUp();
    c.get(va).i64Halves(-4096, -1).op('i64.and').tee(g.page);
    c.op('i32.wrap_i64').op('i32.add').set(g.host);
    c.get(va).i64Halves(4095, 0).op('i64.and').set(this.offset);
    c.end();
    c.get(this.offset).op('i32.wrap_i64').get(g.host).op('i32.add');
    return true;
  }
}
