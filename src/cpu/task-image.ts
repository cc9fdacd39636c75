// Task-state segments of 32 and 16 bits: what a task switch stores in them and reads out of them. SDM 3A 7.2.1, 7.6.

import { TS } from './control-bits.ts';
import { CS, DS, ES, FS, GS, SS_REG, selectorFault, TR } from './descriptors.ts';
import type { Cx } from './slow/define.ts';
import { FIELDS, SEG_ATTR, SEG_LIMIT, SEG_SELECTOR, type State } from './state.ts';

/** Bytes of a TSS without its bitmap. */
export const WHOLE32 = 0x68;
export const WHOLE16 = 0x2c;

/** Offsets. General registers follow in encoding order, then segment registers ES CS SS DS (FS GS). */
const CR3_AT = 0x1c;
const EIP32_AT = 0x20;
const FLAGS32_AT = 0x24;
const GPR32_AT = 0x28;
const SEG32_AT = 0x48;
const LDT32_AT = 0x60;
const TRAP32_AT = 0x64;
const IP16_AT = 0x0e;
const FLAGS16_AT = 0x10;
const GPR16_AT = 0x12;
const SEG16_AT = 0x22;
const LDT16_AT = 0x2a;

const SEGMENTS32 = [ES, CS, SS_REG, DS, FS, GS];
const SEGMENTS16 = [ES, CS, SS_REG, DS];

export interface TaskImage {
  /** Null: a 16-bit TSS has none. */
  readonly cr3: number | null;
  readonly eip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  /** By segment register. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

export const tssIs32 = (state: State) => (state.seg(TR, SEG_ATTR) & 8) !== 0;

/** The selector of the task that the current one is nested in; null: a fault is raised. */
export function linkedTask(cx: Cx): number | null {
  const { state, mmu } = cx;
  if (state.seg(TR, SEG_LIMIT) < 1) {
    selectorFault(cx, TS, state.seg(TR, SEG_SELECTOR));
    return null;
  }
  return mmu.read(state.segBase(TR), 2, 'system') ? mmu.buf.getUint16(0, true) : null;
}

/** `probe`d before: cannot fault. */
export function writeLink(cx: Cx, base: number, selector: number): void {
  cx.mmu.buf.setUint16(0, selector, true);
  cx.mmu.write(base, 2, 'system');
}

/** All registers of the new task; null: a fault is raised. */
export function readImage(cx: Cx, base: number, wide: boolean): TaskImage | null {
  if (!cx.mmu.read(base, wide ? WHOLE32 : WHOLE16, 'system')) return null;
  const { buf } = cx.mmu;
  const u16 = (at: number) => buf.getUint16(at, true);
  const u32 = (at: number) => buf.getUint32(at, true);
  if (wide) {
    return {
      cr3: u32(CR3_AT),
      eip: u32(EIP32_AT),
      flags: u32(FLAGS32_AT) & 0x3f7fd7,
      registers: Array.from({ length: 8 }, (_, n) => u32(GPR32_AT + n * 4)),
      selectors: SEGMENTS32.map((_, n) => u16(SEG32_AT + n * 4)),
      ldt: u16(LDT32_AT),
      trap: (u16(TRAP32_AT) & 1) !== 0,
    };
  }
  return {
    cr3: null,
    eip: u16(IP16_AT),
    flags: u16(FLAGS16_AT) & 0x7fd7,
    // The upper halves are undefined: ones, as Bochs has them.
    registers: Array.from({ length: 8 }, (_, n) => (0xffff0000 | u16(GPR16_AT + n * 2)) >>> 0),
    selectors: [...SEGMENTS16.map((_, n) => u16(SEG16_AT + n * 2)), 0, 0],
    ldt: u16(LDT16_AT),
    trap: false,
  };
}

/** Stores the registers of the current task, with these flags. `probe`d before: cannot fault. */
export function saveTask(cx: Cx, flags: number): void {
  const { state, mmu } = cx;
  const { buf } = mmu;
  const base = state.segBase(TR);
  const selector = (n: number) => state.seg(n, SEG_SELECTOR);
  if (!tssIs32(state)) {
    buf.setUint16(0, state.get(FIELDS.rip), true);
    buf.setUint16(2, flags, true);
    for (let n = 0; n < 8; n++) buf.setUint16(4 + n * 2, state.gpr32(n), true);
    SEGMENTS16.forEach((s, n) => {
      buf.setUint16(20 + n * 2, selector(s), true);
    });
    mmu.write(base + IP16_AT, LDT16_AT - IP16_AT, 'system');
    return;
  }
  buf.setUint32(0, state.get(FIELDS.rip), true);
  buf.setUint32(4, flags, true);
  for (let n = 0; n < 8; n++) buf.setUint32(8 + n * 4, state.gpr32(n), true);
  mmu.write(base + EIP32_AT, SEG32_AT - EIP32_AT, 'system');
  // Only the lower half of a selector's field is written.
  SEGMENTS32.forEach((s, n) => {
    buf.setUint16(0, selector(s), true);
    mmu.write(base + SEG32_AT + n * 4, 2, 'system');
  });
}
