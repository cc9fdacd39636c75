// A whole vCPU on either engine with tables, and a handler for every exception that halts: what system tests look at.

import { Assembler } from '../asm.ts';
import { CR0_PE } from '../control-bits.ts';
import { type Cpu, type CpuOptions, createCpu, type EngineName } from '../core.ts';
import { recordingBorder } from './border.ts';
import { CODE0, IDT, loadTables, type Tables } from './descriptor-tables.ts';

export const ENGINES: readonly EngineName[] = ['reference', 'interpreter'];
export const CODE = 0x7000;
const HANDLERS = 0xb000;
const HANDLER_BYTES = 32;
const RAM = 1 << 20;

export interface Guest extends Tables {
  readonly cpu: Cpu;
  readonly log: string[];
  write32(gpa: number, ...values: number[]): void;
  read16(gpa: number): number;
  read32(gpa: number): number;
  /** Code of `mode` bits (32 unless said) at an address. */
  code(text: string, at?: number, mode?: 16 | 32): Guest;
  /** Code of the handler of a vector, instead of `hlt`. */
  handler(vector: number, text: string): Guest;
  /** Runs until the vCPU halts; the vector whose handler it halted in, or the address behind the `hlt`. */
  run(): string;
  /** 32-bit words from the top of the stack. */
  stack(words: number): number[];
}

/** 32-bit protected mode without paging, ring 0, at CODE. `jit`: when that engine translates. */
export function guest(engine: EngineName, jit?: CpuOptions['jit']): Guest {
  const border = recordingBorder();
  const cpu = createCpu({ ramBytes: RAM, border, engine, ...(jit ? { jit } : {}) });
  const { state, views, layout } = cpu;
  const at = (gpa: number) => layout.ramBase + gpa;
  const g: Guest = {
    cpu,
    log: border.log,
    state,
    cx: cpu.cx,
    insn: { osize: 32, asize: 32, mode: 32, length: 1 },
    write64: (gpa, ...values) => views.u64.set(values, at(gpa) >> 3),
    write32: (gpa, ...values) => views.u32.set(values, at(gpa) >> 2),
    read16: (gpa) => views.u16[at(gpa) >> 1] as number,
    read32: (gpa) => views.u32[at(gpa) >> 2] as number,
    code(text, gpa = CODE, mode = 32) {
      views.u8.set(new Assembler(mode, gpa).text(text).finish(), at(gpa));
      return g;
    },
    handler: (vector, text) => g.code(text, HANDLERS + vector * HANDLER_BYTES),
    run() {
      const exit = cpu.run(10_000);
      if (exit.kind !== 'halt') return JSON.stringify(exit);
      const rip = state.get('rip');
      const vector = (rip - HANDLERS) / HANDLER_BYTES;
      return vector >= 0 && vector < 256 ? `#${Math.floor(vector)}` : `0x${rip.toString(16)}`;
    },
    stack(words) {
      const sp = state.segBase(2) + state.gpr32(4);
      return Array.from({ length: words }, (_, n) => g.read32(sp + n * 4));
    },
  };
  state.set('cr0', CR0_PE);
  loadTables(g, false);
  for (let vector = 0; vector < 256; vector++) {
    const target = HANDLERS + vector * HANDLER_BYTES;
    g.write32(IDT + vector * 8, (CODE0 << 16) | (target & 0xffff), (target & 0xffff0000) | 0x8e00);
    g.handler(vector, 'hlt');
  }
  cpu.stateChanged();
  return g;
}
