// The vCPU's registers as boot protocols want them: flat segments over power-on state, interrupts off.

import { CR0_ET, CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME } from '../../cpu/control-bits.ts';
import type { Cpu } from '../../cpu/core.ts';
import {
  CS,
  FLAT_CODE32,
  FLAT_CODE64,
  FLAT_DATA,
  LDTR,
  setRealSegment,
  setSegmentTo,
  TR,
} from '../../cpu/descriptors.ts';
import { reset } from '../../cpu/reset.ts';
import type { GuestRam } from '../../machine/memory.ts';
import { GDT_AT, PAGE_TABLES_AT, STACK_TOP } from './layout.ts';

export const CODE_SELECTOR = 0x10;
export const DATA_SELECTOR = 0x18;
const TSS_SELECTOR = 0x20;
/** A busy 32-bit TSS and an LDT, present (SDM 3A table 3-2). */
const ATTR_TSS = 0x8b;
const ATTR_LDT = 0x82;
export const GDT_BYTES = 5 * 8;
const DATA_SEGMENTS = [0, 2, 3, 4, 5]; // ES SS DS FS GS
/** 2 MiB pages: present, writable, page size (SDM 3A 4.5.4). */
const PDE_LARGE = 0x83;
const TABLE_ENTRY = 0x3;

export const GPR = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 } as const;

/** 32-bit protected mode without paging, flat (xen-pvh start of day; boot.rst, 32-bit boot protocol). */
export function enterFlat32(cpu: Cpu, ram: GuestRam, entry: number): void {
  flat(cpu, ram, FLAT_CODE32);
  cpu.state.set('cr0', CR0_PE | CR0_ET);
  cpu.state.setVa('rip', entry);
  cpu.stateChanged();
}

/** Long mode with the first 4 GiB mapped one to one (boot.rst, 64-bit boot protocol). */
export function enterFlat64(cpu: Cpu, ram: GuestRam, entry: number): void {
  flat(cpu, ram, FLAT_CODE64);
  identityMap(ram);
  const { state } = cpu;
  state.setVa('cr3', PAGE_TABLES_AT);
  state.set('cr4', CR4_PAE);
  state.set('efer', EFER_LME | EFER_LMA);
  state.set('cr0', (CR0_PE | CR0_ET | CR0_PG) >>> 0);
  state.setVa('rip', entry);
  state.setGpr(GPR.rsp, BigInt(STACK_TOP));
  cpu.stateChanged();
  cpu.mmu.flushAll();
}

/** Real mode as after RESET, at `segment:offset`. */
export function enterReal(cpu: Cpu, segment: number, offset: number): void {
  const { state } = cpu;
  reset(state);
  setRealSegment(state, CS, segment);
  state.setVa('rip', offset);
  cpu.stateChanged();
}

function flat(cpu: Cpu, ram: GuestRam, code: number): void {
  const { state } = cpu;
  reset(state);
  writeGdt(ram, code === FLAT_CODE64);
  state.setGpr(GPR.rdx, 0n);
  setSegmentTo(state, CS, CODE_SELECTOR, 0, 0xffff_ffff, code);
  for (const n of DATA_SEGMENTS) setSegmentTo(state, n, DATA_SELECTOR, 0, 0xffff_ffff, FLAT_DATA);
  setSegmentTo(state, TR, TSS_SELECTOR, 0, 0x67, ATTR_TSS);
  setSegmentTo(state, LDTR, 0, 0, 0, ATTR_LDT);
  state.setVa('gdtrBase', GDT_AT);
  state.set('gdtrLimit', GDT_BYTES - 1);
  state.set('idtrLimit', 0); // An exception before the guest has its own table is a triple fault.
}

/** The table behind the selectors: null, null, code, data, TSS (boot.rst: __BOOT_CS 0x10, __BOOT_DS 0x18). */
export function writeGdt(ram: GuestRam, long: boolean): void {
  const descriptors: readonly (readonly [lo: number, hi: number])[] = [
    [0, 0],
    [0, 0],
    [0x0000ffff, long ? 0x00af9b00 : 0x00cf9b00],
    [0x0000ffff, 0x00cf9300],
    [0x00000067, 0x00008b00],
  ];
  descriptors.forEach(([lo, hi], n) => {
    ram.setU64(GDT_AT + n * 8, lo, hi);
  });
}

/** Four page directories of 2 MiB pages: the first 4 GiB. */
function identityMap(ram: GuestRam): void {
  const pdpt = PAGE_TABLES_AT + 0x1000;
  const pd = PAGE_TABLES_AT + 0x2000;
  ram.fill(PAGE_TABLES_AT, 0x6000, 0);
  ram.setU64(PAGE_TABLES_AT, pdpt | TABLE_ENTRY, 0);
  for (let gib = 0; gib < 4; gib++)
    ram.setU64(pdpt + gib * 8, (pd + gib * 0x1000) | TABLE_ENTRY, 0);
  for (let n = 0; n < 4 * 512; n++) ram.setU64(pd + n * 8, ((n << 21) | PDE_LARGE) >>> 0, 0);
}
