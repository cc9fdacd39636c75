// What interrupt delivery shares between modes: error codes that name a gate, flags on entry, stacks out of the TSS.

import {
  DB,
  DF,
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  GP,
  NP,
  TS,
} from './control-bits.ts';
import { resuming } from './debug.ts';
import type { Event } from './deliver.ts';
import {
  attrOf,
  type Descriptor,
  dplOf,
  isCode,
  isNull,
  readDescriptor,
  selectorFault,
  TR,
} from './descriptors.ts';
import { readFlags, writeFlags } from './flags.ts';
import type { Cx } from './slow/define.ts';
import { ATTR_P, FIELDS, SEG_LIMIT, SEG_SELECTOR } from './state.ts';

/** Bits of what `Cx.enter` is told beside vector and error code; RF of the pushed flags stands at its own place. */
export const EVENT_HAS_ERROR = 1;
export const EVENT_FAULT = 2;

/** The EXT bit: the event came from outside the program. SDM 3A 6.13. */
export const extOf = (event: Event): 0 | 1 => (event.kind === 'software' ? 0 : 1);

/** Raises `vector` with an error code that names the event's IDT gate. */
export function gateFault(cx: Cx, vector: number, event: Event): 1 {
  return cx.state.raise(vector, event.vector * 8 + 2 + extOf(event));
}

/**
 * EFLAGS as pushed: faults have RF set, so that their instruction restarts without a second breakpoint; so has what comes
 * between two iterations of a repeated instruction. An instruction breakpoint leaves that to its handler. SDM 3B 18.3.1.1.
 */
export function pushedFlags(cx: Cx, event: Event): number {
  return readFlags(cx.state) | pushedRf(cx, event);
}

function pushedRf(cx: Cx, { vector, kind }: Event): number {
  if (kind === 'software') return 0;
  const fault = kind === 'fault' && vector !== DF && vector !== DB;
  return fault || resuming(cx.state, cx.retired()) ? EFLAGS_RF : 0;
}

/** The engine's own way to the handler, if it has one for such an event. */
export function enteredQuickly(cx: Cx, event: Event): boolean {
  if (cx.enter === null || event.kind === 'software') return false;
  const { vector, error, kind } = event;
  const how = (error === null ? 0 : EVENT_HAS_ERROR) | (kind === 'fault' ? EVENT_FAULT : 0);
  return cx.enter(vector, error ?? 0, how | pushedRf(cx, event)) !== 0;
}

export function flagsOnEntry(cx: Cx, masksInterrupts: boolean): void {
  const cleared = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM | (masksInterrupts ? EFLAGS_IF : 0);
  writeFlags(cx.state, 0, cleared);
}

/** The descriptor of a handler's code segment; null: a fault is raised. SDM 3A 6.12.1. */
export function handlerSegment(cx: Cx, selector: number, ext: number): Descriptor | null {
  if (isNull(selector)) {
    cx.state.raise(GP, ext);
    return null;
  }
  const d = readDescriptor(cx, selector, GP, ext);
  if (d === null) return null;
  const attr = attrOf(d);
  if (!isCode(attr) || dplOf(attr) > cx.state.word(FIELDS.cpl)) {
    selectorFault(cx, GP, selector, ext);
    return null;
  }
  if ((attr & ATTR_P) === 0) {
    selectorFault(cx, NP, selector, ext);
    return null;
  }
  return d;
}

/** Reads `bytes` at `offset` of the current TSS into the MMU's buffer. False: #TS or another fault is raised. */
export function readTss(cx: Cx, offset: number, bytes: number, ext: number): boolean {
  const { state } = cx;
  if (offset + bytes - 1 > state.seg(TR, SEG_LIMIT)) {
    selectorFault(cx, TS, state.seg(TR, SEG_SELECTOR), ext);
    return false;
  }
  return cx.mmu.read(state.segBase(TR) + offset, bytes, 'system');
}
