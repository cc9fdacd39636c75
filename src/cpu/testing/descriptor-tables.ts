// Descriptor tables, a TSS and gates for tests of protected and IA-32e mode.

import type { SmallMachine } from './small-machine.ts';

export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x4000;
export const STACK0 = 0x8000;
export const STACK3 = 0x9000;
export const IST1 = 0xa000;

/** Selectors. */
export const CODE0 = 0x08;
export const DATA0 = 0x10;
export const CODE3 = 0x1b;
export const DATA3 = 0x23;
export const TSS_SELECTOR = 0x28;
export const LDT_SELECTOR = 0x38;
export const ABSENT = 0x48;
/** Code and data of the other width: 32-bit code in the long tables. */
export const OTHER_CODE3 = 0x53;

/** The part of a machine that the tables are put into. */
export type Tables = Pick<SmallMachine, 'state' | 'cx' | 'insn' | 'write64'>;

/** A flat descriptor: attr as in `State.seg`, that is bits 8..15 and 20..23 of its second word. */
export function flat(attr: number): bigint {
  return (BigInt(0x000f0000 | ((attr & 0xff) << 8) | ((attr & 0xf000) << 8)) << 32n) | 0xffffn;
}

function tssDescriptor(attr: number): bigint {
  const base = BigInt(TSS);
  return (base << 16n) | 0x67n | (BigInt(attr) << 40n);
}

/** Ring 0 in 64-bit or 32-bit code with everything set up; tables are reached without paging or through a flat mapping. */
export function loadTables(m: Tables, long: boolean): void {
  const { state } = m;
  const code = long ? 0xa09b : 0xc09b;
  m.write64(
    GDT,
    0n,
    flat(code),
    flat(0xc093),
    flat(code | 0x60),
    flat(0xc0f3),
    tssDescriptor(0x89),
    0n,
    (BigInt(0x8200) << 32n) | 0xffn | (0x5000n << 16n),
    0n,
    flat(code & ~0x80),
    flat(0xc0fb),
  );
  state.setVa('gdtrBase', GDT);
  state.set('gdtrLimit', 0x57);
  state.setVa('idtrBase', IDT);
  state.set('idtrLimit', long ? 0xfff : 0x7ff);
  setSeg(m, 1, CODE0, code);
  for (const n of [0, 2, 3, 4, 5]) setSeg(m, n, DATA0, 0xc093);
  setSeg(m, 7, TSS_SELECTOR, 0x8b);
  state.setSegBase(7, TSS);
  state.setSeg(7, 8, 0x67);
  m.insn.osize = long ? 64 : 32;
  m.insn.mode = m.insn.osize;
  state.setVa('rip', 0x7000);
  state.setGpr(4, BigInt(STACK0));
  m.cx.modeChanged();
}

export function setSeg(m: Tables, n: number, selector: number, attr: number): void {
  m.state.setSeg(n, 16, selector);
  m.state.setSegBase(n, 0);
  m.state.setSeg(n, 8, 0xffffffff);
  m.state.setSeg(n, 12, attr);
}

/** Puts the vCPU into ring 3 on STACK3. */
export function enterRing3(m: Tables, long: boolean): void {
  setSeg(m, 1, CODE3, (long ? 0xa09b : 0xc09b) | 0x60);
  setSeg(m, 2, DATA3, 0xc0f3);
  m.state.set('cpl', 3);
  m.state.setGpr(4, BigInt(STACK3));
  m.cx.modeChanged();
}

export function longGate(
  m: SmallMachine,
  vector: number,
  attr: number,
  selector = CODE0,
  ist = 0,
): void {
  const target = 0xffff_8000_1234_5678n;
  const low = (target & 0xffffn) | (BigInt(selector) << 16n);
  const high = (target & 0xffff0000n) | BigInt(attr << 8) | BigInt(ist);
  m.write64(IDT + vector * 16, low | (high << 32n), target >> 32n);
}
export const LONG_TARGET = 0xffff_8000_1234_5678n;

export function gate32(m: SmallMachine, vector: number, attr: number, selector = CODE0): void {
  m.write32(IDT + vector * 8, (selector << 16) | 0x5678, 0x00120000 | (attr << 8));
}
export const TARGET32 = 0x00125678;
