// The stack as far transfers and interrupts use it: whole frames pushed and popped, checked before anything changes.

import { CR0_PE, GP, SS } from './control-bits.ts';
import { TYPE_EXPAND_DOWN } from './descriptors.ts';
import type { AccessAs } from './mmu.ts';
import type { Cx } from './slow/define.ts';
import { ATTR_D, FIELDS, GPR_AT, SEG_ATTR, SEG_LIMIT, type State } from './state.ts';

const SS_REG = 2;
const RSP = 4;

export interface Stack {
  readonly base: number;
  readonly limit: number;
  readonly attr: number;
  /** Signed for 64-bit stacks. */
  readonly sp: number;
  readonly width: 16 | 32 | 64;
}

export function currentStack(state: State): Stack {
  const attr = state.seg(SS_REG, SEG_ATTR);
  const limit = state.seg(SS_REG, SEG_LIMIT);
  if (state.get(FIELDS.codeMode) === 64)
    return { base: 0, limit, attr, sp: state.vaAt(GPR_AT + RSP * 8), width: 64 };
  const width = attr & ATTR_D ? 32 : 16;
  return { base: state.segBase(SS_REG), limit, attr, sp: masked(state.gpr32(RSP), width), width };
}

/** Sets as much of rSP as a stack of this width uses. SDM 1 6.2.3. */
export function setStackPointer(state: State, sp: number, width: 16 | 32 | 64): void {
  if (width === 64) state.setVaAt(GPR_AT + RSP * 8, sp);
  else if (width === 32) state.setGpr32(RSP, sp >>> 0);
  else state.views.u16[(state.base + GPR_AT + RSP * 8) >> 1] = sp;
}

/**
 * Pushes `words` of `bytes` each, the first one at the highest address. Returns the new stack pointer, without setting
 * it, or null: #SS with `error` or #PF is raised and nothing is written.
 */
export function pushWords(
  cx: Cx,
  stack: Stack,
  bytes: 2 | 4 | 8,
  words: readonly number[],
  as: AccessAs,
  error = 0,
): number | null {
  const total = words.length * bytes;
  const sp = masked(stack.sp - total, stack.width);
  const { buf } = cx.mmu;
  for (let n = 0; n < words.length; n++) {
    const word = words[n] as number;
    const at = total - (n + 1) * bytes;
    if (bytes === 2) buf.setUint16(at, word, true);
    else buf.setUint32(at, word, true);
    if (bytes === 8) buf.setInt32(at + 4, Math.floor(word / 4294967296), true);
  }
  if (!fits(cx.state, stack, sp, total)) {
    cx.state.raise(SS, error);
    return null;
  }
  if (as === 'current' && !cx.mmu.aligned(linear(stack, sp), bytes)) return null;
  if (cx.mmu.write(linear(stack, sp), total, as)) return sp;
  // Words are pushed from the top: CR2 tells of the first that has no place.
  for (let n = words.length - 1; n >= 0; n--)
    if (!cx.mmu.probe(linear(stack, sp + n * bytes), bytes, as)) break;
  asStackFault(cx.state, error);
  return null;
}

/** Reads `bytes` from the top of the stack (`skip` bytes up) into the MMU's buffer. False: a fault is raised. */
export function peekStack(cx: Cx, stack: Stack, bytes: number, skip = 0): boolean {
  const sp = masked(stack.sp + skip, stack.width);
  if (!fits(cx.state, stack, sp, bytes)) {
    cx.state.raise(SS, 0);
    return false;
  }
  if (cx.mmu.read(linear(stack, sp), bytes, 'current')) return true;
  asStackFault(cx.state, 0);
  return false;
}

/** Word `n` of the frame that `peekStack` has read: 64-bit ones as signed numbers, others unsigned. */
export function word(cx: Cx, bytes: 2 | 4 | 8, n: number): number {
  const { buf } = cx.mmu;
  const at = n * bytes;
  if (bytes === 2) return buf.getUint16(at, true);
  const lo = buf.getUint32(at, true);
  return bytes === 4 ? lo : buf.getInt32(at + 4, true) * 4294967296 + lo;
}

export function masked(sp: number, width: 16 | 32 | 64): number {
  if (width === 64) return sp;
  return width === 32 ? sp >>> 0 : sp & 0xffff;
}

function linear(stack: Stack, sp: number): number {
  return stack.width === 64 ? sp : (stack.base + sp) >>> 0;
}

/** A frame must lie within the segment; one that wraps at the end of a 16-bit stack is refused. SDM 3A 5.3. */
function fits(state: State, stack: Stack, sp: number, bytes: number): boolean {
  if (stack.width === 64 || (stack.limit === 0xffffffff && stack.width === 32)) return true;
  const last = sp + bytes - 1;
  const top = stack.width === 32 ? 0xffffffff : 0xffff;
  const expandsDown = state.get(FIELDS.cr0) & CR0_PE && (stack.attr & 0xc) === TYPE_EXPAND_DOWN;
  return expandsDown ? sp > stack.limit && last <= top : last <= Math.min(stack.limit, top);
}

/** A non-canonical stack address is #SS, not #GP. SDM 3A 6.15 (interrupt 12). */
function asStackFault(state: State, error: number): void {
  if (state.get(FIELDS.faultVector) === GP) state.raise(SS, error);
}
