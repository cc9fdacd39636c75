// The tables that every program finds: GDT, LDT, IDTs, TSS and page tables, for the mode it runs in.

import { dpl, FLAT_CODE32, FLAT_CODE64, FLAT_DATA32 } from './descriptors.ts';
import type { KernelCode } from './kernel.ts';
import * as at from './layout.ts';
import { Memory } from './memory.ts';

export type Mode = 'real' | 'prot' | 'paged' | 'pae' | 'long';

/** Page-table entry bits. */
export const P = 1;
export const W = 2;
export const U = 4;

export function template(kernel: KernelCode): Memory {
  const m = new Memory();
  segments(m);
  gates(m, kernel);
  pageTables(m);
  return m;
}

/** What depends on the mode: the two kinds of TSS share one place. */
export function modeTemplate(mode: Mode): Memory {
  const m = new Memory();
  m.u16(at.TSS + 0x66, 0x68);
  for (let n = 0; n < 0x81; n++) m.u8(at.TSS + 0x68 + n, 0xff);
  if (mode === 'long') {
    m.u64(at.TSS + 4, at.STACK0, at.STACK1, at.STACK2);
    m.u64(at.TSS + 0x24, at.IST1, at.IST2);
    return m;
  }
  m.u32(at.TSS + 4, at.STACK0, at.DATA32, at.STACK1, at.DATA_RING1, at.STACK2, at.DATA_RING2);
  return m;
}

function segments(m: Memory): void {
  m.gdt(at.CODE32, { attr: FLAT_CODE32 });
  m.gdt(at.DATA32, { attr: FLAT_DATA32 });
  m.gdt(at.UCODE32, { attr: FLAT_CODE32 | dpl(3) });
  m.gdt(at.UDATA32, { attr: FLAT_DATA32 | dpl(3) });
  m.gdt(at.CODE64, { attr: FLAT_CODE64 });
  m.gdt(at.UCODE64, { attr: FLAT_CODE64 | dpl(3) });
  m.gdt(at.TSS_SEL, { base: at.TSS, limit: at.TSS_BYTES - 1, attr: 0x89 });
  m.gdt(at.LDT_SEL, { base: at.LDT, limit: at.LDT_BYTES - 1, attr: 0x82 });
  m.gdt(at.CODE16, { base: at.CODE, limit: 0xffff, attr: 0x9b });
  m.gdt(at.DATA16, { limit: 0xffff, attr: 0x93 });
  m.gdt(at.CODE_RING1, { attr: FLAT_CODE32 | dpl(1) });
  m.gdt(at.DATA_RING1, { attr: FLAT_DATA32 | dpl(1) });
  m.gdt(at.CODE_RING2, { attr: FLAT_CODE32 | dpl(2) });
  m.gdt(at.DATA_RING2, { attr: FLAT_DATA32 | dpl(2) });
  m.gdt(at.CONFORMING, { attr: 0xc09f });
  m.gdt(at.CONFORMING64, { attr: 0xa09f });
  m.gdt(at.ABSENT_DATA, { attr: 0xc013 });
  m.gdt(at.ABSENT_CODE, { attr: 0xc01b });
  m.gdt(at.READ_ONLY, { attr: 0xc091 });
  m.gdt(at.EXECUTE_ONLY, { attr: 0xc099 });
  // The LDT: flat data and code of ring 0, then of ring 3.
  const ldt = [FLAT_DATA32, FLAT_CODE32, FLAT_DATA32 | dpl(3), FLAT_CODE32 | dpl(3)];
  ldt.forEach((attr, n) => {
    m.gdt(at.LDT - at.GDT + n * 8, { attr });
  });
}

function gates(m: Memory, { stubs32, stubs64, stubs16 }: KernelCode): void {
  for (let vector = 0; vector < at.VECTORS; vector++) {
    const open = [3, 4, at.TRAP, at.DONE].includes(vector) ? dpl(3) : 0;
    const attr = (vector === at.TRAP ? 0x8f : 0x8e) | open;
    m.idt32(vector, { selector: at.CODE32, target: stubs32[vector]!, attr });
    m.idt64(vector, { selector: at.CODE64, target: stubs64[vector]!, attr });
    m.u16(vector * 4, stubs16[vector]!, 0);
  }
}

/** The first 2 MiB (4 MiB) are mapped one to one; programs' code and the outer stack are open to ring 3. */
function pageTables(m: Memory): void {
  const all = P | W | U;
  m.u64(at.PML4, at.PDPT | all);
  m.u64(at.PDPT, at.PD | all);
  m.u64(at.PD, at.PT | all, at.WINDOW_PT | all);
  m.u64(at.PAE_PDPT, at.PAE_PD | P);
  m.u64(at.PAE_PD, at.PT | all, at.WINDOW_PT | all);
  m.u32(at.PD32, at.PT32 | all, at.WINDOW_PT32 | all);
  for (let page = 0; page < at.RAM_BYTES; page += 0x1000) {
    const isUser = (page >= at.CODE && page < at.CODE + 0x10000) || page === (at.STACK3 & ~0xfff);
    const entry = page | P | W | (isUser ? U : 0);
    m.u64(at.PT + (page >> 9), entry);
    m.u32(at.PT32 + (page >> 10), entry);
  }
}
