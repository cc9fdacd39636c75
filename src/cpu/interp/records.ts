// The 32-byte record of a decoded instruction, as tier 0 reads it.

import type { Decoded } from '../decoded.ts';
import type { RegRef } from '../isa/ir.ts';
import {
  FIELDS,
  GPR_AT,
  SEG_AT,
  SEG_STRIDE,
  ST_AT,
  type Views,
  XMM_AT,
  ZERO_AT,
} from '../state.ts';

export const RECORD_BYTES = 32;
/** Handler number, u16. */
export const R_HANDLER = 0;
/** Operand and address size in bits, u8 each: slow paths ask. */
export const R_OSIZE = 2;
export const R_ASIZE = 3;
/** Offset of the next instruction from the start of this one's page, u16 (may reach into the next page). */
export const R_NEXT = 4;
/** Instructions from this one to the end of the block, itself included, u8; and its length in bytes, u8. */
export const R_LEFT = 6;
export const R_LENGTH = 7;
/** State offsets (or numbers, see regNumber) of the registers of operand slots 0 and 1, u16 each. */
export const R_REG = 8;
/** State offsets of the address's base and index (ZERO_AT: none; ripPage for RIP-relative), u16; log2 of the scale, u8. */
export const R_BASE = 12;
export const R_INDEX = 14;
export const R_SCALE = 16;
/** Bit 0: the taken target lies in this page; bit 1: the fall-through does. u8. */
export const R_CHAINABLE = 17;
/** State offset of the segment's base, u16. */
export const R_SEGMENT = 18;
/** Displacement, i32; immediate 1 where there is no memory operand; the fall-through's record (0: not known) in a branch. */
export const R_DISP = 20;
export const R_IMM1 = 20;
export const R_FALL_CHAIN = 20;
/** Immediate 0, i64; in a branch: target as an offset from the start of the page, i32, and the target's record. */
export const R_IMM = 24;
export const R_TARGET = 24;
export const R_CHAIN = 28;

/**
 * `END` closes a block that falls through; `GUARD` opens one whose instruction crosses into another page. With a second
 * tier, `HEAD` opens every other block and counts how often it is entered; `REGION` in its place enters translated code.
 */
export const HANDLER_END = 0;
export const HANDLER_GUARD = 1;
export const HANDLER_HEAD = 2;
export const HANDLER_REGION = 3;
export const FIRST_HOT_HANDLER = 4;

/** Of a head: entries counted, or the block's index in the region; the table's slot. */
export const H_COUNT = 20;
export const H_INDEX = 20;
export const H_SLOT = 24;

/**
 * Shape of a memory operand's address: simple (base + displacement is all of it), full, absolute (64 bits, in the place
 * of the immediate: MOV's moffs has none), or checked: full, with segment checks, outside 64-bit code.
 */
export type Shape = 's' | 'f' | 'a' | 'c';

/** Numbers of segments; ES, SS and DS are the others below FS. */
export const SEG_CS = 1;
export const SEG_FS = 4;

/** `flat`: ES, SS and DS need no checks (`isFlatData`). */
export function shapeOf(d: Decoded, flat: boolean): Shape {
  if (d.variant.mode !== 64) return flat && d.segment !== SEG_CS && d.segment < SEG_FS ? 'f' : 'c';
  if (d.dispHi !== d.disp >> 31) return 'a';
  return d.index < 0 && d.segment < SEG_FS && d.variant.asize === 64 ? 's' : 'f';
}

/** State offset of a register; for files that only slow paths reach, its number. */
function registerOffset(file: string, n: number): number {
  if (file === 'gpr') return n < 16 ? GPR_AT + n * 8 : GPR_AT + (n - 16) * 8 + 1;
  if (file === 'xmm') return XMM_AT + n * 16;
  if (file === 'mm') return ST_AT + n * 16;
  return n;
}

export function fixedRegisterOffset(reg: RegRef): number {
  return registerOffset(reg.file, reg.fixed as number);
}

/** Writes everything but the handler. `page` is the instruction's offset in its page; `branches`: it has a relative target. */
export function writeRecord(
  views: Views,
  at: number,
  d: Decoded,
  page: number,
  branches: boolean,
): void {
  const { u8, u16, i32 } = views;
  const next = page + d.length;
  clear(i32, at);
  u16[(at + R_NEXT) >> 1] = next;
  u8[at + R_LENGTH] = d.length;
  u8[at + R_OSIZE] = d.variant.osize;
  u8[at + R_ASIZE] = d.variant.asize;
  for (const o of d.operands) {
    if (o.kind !== 'reg' || o.fixed !== undefined) continue;
    u16[(at + R_REG + o.slot * 2) >> 1] = registerOffset(o.file, d.regs[o.slot] as number);
  }
  u16[(at + R_BASE) >> 1] = d.ripRelative
    ? FIELDS.ripPage.at
    : d.base < 0
      ? ZERO_AT
      : GPR_AT + d.base * 8;
  u16[(at + R_INDEX) >> 1] = d.index < 0 ? ZERO_AT : GPR_AT + d.index * 8;
  u8[at + R_SCALE] = d.scale;
  const flat = d.variant.mode === 64 && d.segment !== 4 && d.segment !== 5;
  u16[(at + R_SEGMENT) >> 1] = flat ? ZERO_AT : SEG_AT + d.segment * SEG_STRIDE;
  if (branches) {
    const target = next + d.immLo[0];
    i32[(at + R_TARGET) >> 2] = target;
    u8[at + R_CHAINABLE] = (target >= 0 && target < 4096 ? 1 : 0) | (next < 4096 ? 2 : 0);
    return;
  }
  i32[(at + R_DISP) >> 2] = d.hasMem ? d.disp + (d.ripRelative ? next : 0) : d.immLo[1];
  const absolute = d.variant.mode === 64 && d.dispHi !== d.disp >> 31;
  i32[(at + R_IMM) >> 2] = absolute ? d.disp : d.immLo[0];
  i32[(at + R_IMM + 4) >> 2] = absolute ? d.dispHi : d.immHi[0];
}

/** A head for the block whose first instruction's record lies behind it. */
export function writeHead(views: Views, at: number): void {
  const { u8, u16 } = views;
  u8.copyWithin(at, at + RECORD_BYTES, at + RECORD_BYTES + R_REG); // Length and place, for whoever asks where the block begins.
  u8.fill(0, at + R_REG, at + RECORD_BYTES);
  u16[(at + R_HANDLER) >> 1] = HANDLER_HEAD;
}

/** The record that closes a block: the next instruction is at `next` (an offset from the start of the page). */
export function writeEnd(views: Views, at: number, next: number): void {
  const { u8, u16, i32 } = views;
  clear(i32, at);
  u16[(at + R_HANDLER) >> 1] = HANDLER_END;
  u16[(at + R_NEXT) >> 1] = next;
  u8[at + R_CHAINABLE] = next < 4096 ? 1 : 0;
  i32[(at + R_TARGET) >> 2] = next;
}

function clear(i32: Int32Array, at: number): void {
  for (let i = at >> 2; i < (at + RECORD_BYTES) >> 2; i++) i32[i] = 0;
}
