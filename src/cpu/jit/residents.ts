// Registers that live in locals while a unit (a loop) runs: loaded where it is entered, stored where it is left.

import type { Decoded } from '../decoded.ts';
import type { Program, RegRef } from '../isa/ir.ts';
import type { FlagField } from '../lower/site.ts';
import { GPR_AT, XMM_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import {
  FIRST_HIGH,
  FLAG_FIELDS,
  flagType,
  loadFlag,
  loadRegister,
  type Registers,
  storeFlag,
  storeRegister,
} from './registers.ts';
import { traitsOf } from './traits.ts';

/** What a unit touches: bit n for general register n, or xmm register n. */
export interface Usage {
  readonly gprs: number;
  readonly xmms: number;
  readonly flags: boolean;
}

interface Uses {
  gprs: number;
  xmms: number;
  flags: boolean;
}

/** What instructions read or write, and what they write. */
export function usageOf(insns: readonly { d: Decoded; program: Program }[]): {
  used: Usage;
  written: Usage;
} {
  const used: Uses = { gprs: 0, xmms: 0, flags: false };
  const written: Uses = { gprs: 0, xmms: 0, flags: false };
  for (const { d, program } of insns) {
    const { reads, writes, address, readsFlags, writesFlags } = traitsOf(program);
    for (const reg of reads) noteRegister(reg, d, used);
    for (const { reg } of writes) {
      noteRegister(reg, d, written);
      noteRegister(reg, d, used);
    }
    if (address && d.base >= 0) used.gprs |= 1 << d.base;
    if (address && d.index >= 0) used.gprs |= 1 << d.index;
    if (readsFlags || writesFlags) used.flags = true;
    if (writesFlags) written.flags = true;
  }
  return { used, written };
}

/**
 * For each instruction of a block, the general registers whose value is read again: by a later one, before it is written whole, or
 * by itself. One bit each.
 */
export function readLater(insns: readonly Decoded[], programs: readonly Program[]): number[] {
  const later = new Array<number>(insns.length);
  let live = 0;
  for (let i = insns.length - 1; i >= 0; i--) {
    const d = insns[i] as Decoded;
    const { reads, writes, address } = traitsOf(programs[i] as Program);
    let [once, twice] = [0, 0];
    const note = (n: number) => {
      twice |= once & (1 << n);
      once |= 1 << n;
    };
    for (const reg of reads) if (reg.file === 'gpr') note(registerNumber(reg, d) & 15);
    if (address && d.base >= 0) note(d.base);
    if (address && d.index >= 0) note(d.index);
    later[i] = live | twice;
    for (const { reg } of writes)
      if (reg.file === 'gpr' && reg.width >= 32) live &= ~(1 << registerNumber(reg, d));
    live |= once;
  }
  return later;
}

function noteRegister(reg: RegRef, d: Decoded, uses: Uses): void {
  const n = registerNumber(reg, d);
  if (reg.file === 'gpr') uses.gprs |= 1 << (n >= FIRST_HIGH ? n - FIRST_HIGH : n);
  else if (reg.file === 'xmm') uses.xmms |= 1 << n;
}

export function registerNumber(reg: RegRef, d: Decoded): number {
  return reg.fixed ?? (d.regs[reg.slot] as number);
}

export class Residents implements Registers {
  private readonly c: Code;
  private readonly st: number;
  private readonly gprs = new Array<number>(16).fill(-1);
  private readonly xmms = new Array<number>(16).fill(-1);
  private readonly flags = new Map<FlagField, number>();
  private readonly written: Usage;

  constructor(c: Code, st: number, used: Usage, written: Usage) {
    this.c = c;
    this.st = st;
    this.written = written;
    for (let n = 0; n < 16; n++) {
      if ((used.gprs >> n) & 1) this.gprs[n] = c.take('i64');
      if ((used.xmms >> n) & 1) this.xmms[n] = c.take('v128');
    }
    if (used.flags) for (const name of FLAG_FIELDS) this.flags.set(name, c.take(flagType(name)));
  }

  /** From the state: where the unit is entered. */
  load(): void {
    const { c, st } = this;
    this.gprs.forEach((local, n) => {
      if (local >= 0)
        c.get(st)
          .mem('i64.load', GPR_AT + n * 8)
          .set(local);
    });
    this.xmms.forEach((local, n) => {
      if (local >= 0)
        c.get(st)
          .mem('v128.load', XMM_AT + n * 16)
          .set(local);
    });
    for (const [name, local] of this.flags) {
      loadFlag(c, st, name);
      c.set(local);
    }
  }

  /** What was written goes to the state: where the unit is left. */
  store(): void {
    const { c, st, written } = this;
    this.gprs.forEach((local, n) => {
      if ((written.gprs >> n) & 1)
        c.get(st)
          .get(local)
          .mem('i64.store', GPR_AT + n * 8);
    });
    this.xmms.forEach((local, n) => {
      if ((written.xmms >> n) & 1)
        c.get(st)
          .get(local)
          .mem('v128.store', XMM_AT + n * 16);
    });
    this.settleFlags();
  }

  /** The locals are free for others. */
  end(): void {
    const { c } = this;
    for (const local of this.gprs) if (local >= 0) c.release('i64', local);
    for (const local of this.xmms) if (local >= 0) c.release('v128', local);
    for (const [name, local] of this.flags) c.release(flagType(name), local);
  }

  push(n: number): void {
    this.c.get(this.gprs[n] as number);
  }

  read(reg: RegRef, n: number): void {
    const { c } = this;
    if (reg.file === 'mm') return loadRegister(c, this.st, reg, n);
    if (reg.file === 'xmm') {
      c.get(this.xmms[n] as number);
      if (reg.width === 64) c.op('i64x2.extract_lane', 0);
      else if (reg.width === 32) c.op('i32x4.extract_lane', 0);
      else if (reg.width === 16) c.op('i16x8.extract_lane_u', 0);
      else if (reg.width === 8) c.op('i8x16.extract_lane_u', 0);
      return;
    }
    if (n >= FIRST_HIGH) {
      c.get(this.gprs[n - FIRST_HIGH] as number).op('i32.wrap_i64');
      c.i32(8).op('i32.shr_u').i32(0xff).op('i32.and');
      return;
    }
    c.get(this.gprs[n] as number);
    if (reg.width === 64) return;
    c.op('i32.wrap_i64');
    if (reg.width < 32) c.i32(reg.width === 8 ? 0xff : 0xffff).op('i32.and');
  }

  write(reg: RegRef, n: number, push: () => void): void {
    const { c } = this;
    if (reg.file === 'mm') return storeRegister(c, this.st, reg, n, push);
    if (reg.file === 'xmm') return this.writeXmm(reg, this.xmms[n] as number, push);
    if (reg.width >= 32) {
      push();
      if (reg.width === 32) c.op('i64.extend_i32_u');
      c.set(this.gprs[n] as number);
      return;
    }
    const high = n >= FIRST_HIGH;
    const local = this.gprs[high ? n - FIRST_HIGH : n] as number;
    const mask = high ? 0xff00 : reg.width === 8 ? 0xff : 0xffff;
    c.get(local).i64Halves(~mask, -1).op('i64.and');
    push();
    if (high) c.i32(8).op('i32.shl');
    c.op('i64.extend_i32_u').op('i64.or').set(local);
  }

  private writeXmm(reg: RegRef, local: number, push: () => void): void {
    const { c } = this;
    if (reg.width === 128) {
      push();
      c.set(local);
      return;
    }
    const lanes = { 64: 'i64x2', 32: 'i32x4', 16: 'i16x8', 8: 'i8x16', 1: 'i8x16' } as const;
    c.get(local);
    push();
    c.op(`${lanes[reg.width]}.replace_lane`, 0).set(local);
  }

  pushFlag(name: FlagField): void {
    this.c.get(this.flags.get(name) as number);
  }

  writeFlag(name: FlagField, push: () => void): void {
    push();
    this.c.set(this.flags.get(name) as number);
  }

  settleFlags(): void {
    if (!this.written.flags) return;
    for (const [name, local] of this.flags) {
      this.c.get(this.st).get(local);
      storeFlag(this.c, name);
    }
  }

  beforeSlow(): void {
    this.store();
  }

  afterSlow(ends: boolean): void {
    if (!ends) this.load();
  }

  repeated(): void {}
}
