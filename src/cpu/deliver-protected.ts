// Interrupt delivery in 32-bit protected mode: interrupt and trap gates, inner rings through the TSS. SDM 3A 6.12.1.

import { EFLAGS_VM, GP, NP, SS, TS } from './control-bits.ts';
import type { Event } from './deliver.ts';
import {
  attrOf,
  baseOf,
  CS,
  type Descriptor,
  DS,
  dplOf,
  ES,
  FS,
  GS,
  inVm86,
  isNull,
  isWritableData,
  limitOf,
  markAccessed,
  readDescriptor,
  SS_REG,
  SYS_TASK_GATE,
  selectorFault,
  setNullSegment,
  setSegment,
  TR,
  TYPE_CONFORMING,
} from './descriptors.ts';
import { extOf, flagsOnEntry, gateFault, handlerSegment, pushedFlags, readTss } from './gates.ts';
import type { Cx } from './slow/define.ts';
import { currentStack, pushWords, type Stack, setStackPointer } from './stack.ts';
import { ATTR_D, ATTR_P, FIELDS, SEG_ATTR, SEG_SELECTOR } from './state.ts';
import { throughTaskGate } from './task-switch.ts';

/** Gate types 6, 7 (16-bit) and 14, 15 (32-bit); the lowest bit says trap, bit 3 says 32-bit. */
const isGate = (type: number): boolean => (type & ~9) === 6;
const RSP = 4;

interface Gate {
  readonly selector: number;
  readonly target: number;
  readonly bytes: 2 | 4;
  readonly masksInterrupts: boolean;
}

/** A stack out of the TSS: its segment is checked, and loaded only when nothing can fault any more. */
export interface InnerStack extends Stack {
  readonly selector: number;
  readonly descriptor: Descriptor;
}

export function enterProtectedHandler(cx: Cx, event: Event): 0 | 1 {
  const { state } = cx;
  const ext = extOf(event);
  const gate = readGate(cx, event);
  if (gate === null) return 1;
  if (gate === 'task') return enterTask(cx, event);
  const d = handlerSegment(cx, gate.selector, ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  const cpl = attr & TYPE_CONFORMING ? state.word(FIELDS.cpl) : dplOf(attr);
  if (inVm86(state) && cpl !== 0) return selectorFault(cx, GP, gate.selector, ext);
  if (gate.target > limitOf(d)) return state.raise(GP, ext);
  const inner = cpl < state.word(FIELDS.cpl) ? innerStack(cx, cpl, ext) : 'same';
  if (inner === null) return 1;
  const stack = inner === 'same' ? currentStack(state) : inner;
  const words = frameWords(cx, event, inner !== 'same');
  const as = cpl === 3 ? 'current' : 'system';
  // A new stack that is too small is named in the error code. SDM 2A INT n.
  const error = inner === 'same' ? ext : (inner.selector & 0xfffc) | ext;
  const sp = pushWords(cx, stack, gate.bytes, words, as, error);
  if (sp === null || !markAccessed(cx, d)) return 1;
  if (inner !== 'same') {
    if (!markAccessed(cx, inner.descriptor)) return 1;
    if (inVm86(state)) for (const n of [GS, FS, DS, ES]) setNullSegment(state, n, 0);
    setSegment(state, SS_REG, inner.selector, inner.descriptor);
  }
  setStackPointer(state, sp, stack.width);
  setSegment(state, CS, (gate.selector & 0xfffc) | cpl, d);
  state.setVa(FIELDS.rip, gate.target);
  flagsOnEntry(cx, gate.masksInterrupts);
  state.setWord(FIELDS.cpl, cpl);
  cx.modeChanged();
  return 0;
}

/** The task gate has been checked and its low half is in the MMU's buffer. SDM 3A 6.12.2. */
function enterTask(cx: Cx, event: Event): 0 | 1 {
  const tss = cx.mmu.buf.getUint16(2, true);
  const { error } = event;
  return throughTaskGate(cx, tss, 'event', {
    ext: extOf(event),
    error,
    flags: pushedFlags(cx, event),
  });
}

function readGate(cx: Cx, event: Event): Gate | 'task' | null {
  const { state } = cx;
  const failed = (vector: number): null => {
    gateFault(cx, vector, event);
    return null;
  };
  if (event.vector * 8 + 7 > state.word(FIELDS.idtrLimit)) return failed(GP);
  if (!cx.mmu.read((state.getVa(FIELDS.idtrBase) + event.vector * 8) >>> 0, 8, 'system'))
    return null;
  const w0 = cx.mmu.buf.getUint32(0, true);
  const w1 = cx.mmu.buf.getUint32(4, true);
  const type = (w1 >>> 8) & 0x1f;
  if (type !== SYS_TASK_GATE && !isGate(type)) return failed(GP);
  if (event.kind === 'software' && ((w1 >>> 13) & 3) < state.word(FIELDS.cpl)) return failed(GP);
  if ((w1 & 0x8000) === 0) return failed(NP);
  if (type === SYS_TASK_GATE) return 'task';
  const wide = (type & 8) !== 0;
  return {
    selector: w0 >>> 16,
    target: wide ? ((w1 & 0xffff0000) | (w0 & 0xffff)) >>> 0 : w0 & 0xffff,
    bytes: wide ? 4 : 2,
    masksInterrupts: (type & 1) === 0,
  };
}

function frameWords(cx: Cx, event: Event, inward: boolean): number[] {
  const { state } = cx;
  const selector = (n: number) => state.seg(n, SEG_SELECTOR);
  const words: number[] = [];
  if (state.word(FIELDS.eflags) & EFLAGS_VM) words.push(...[GS, FS, DS, ES].map(selector));
  if (inward) words.push(selector(SS_REG), state.gpr32(RSP));
  words.push(pushedFlags(cx, event), selector(CS), state.word(FIELDS.rip));
  if (event.error !== null) words.push(event.error);
  return words;
}

/** The stack of privilege level `cpl`, checked. Null: #TS, #SS or another fault is raised. SDM 3A 6.12.1, 5.8.5. */
export function innerStack(cx: Cx, cpl: number, ext: number): InnerStack | null {
  const { state } = cx;
  const wide = (state.seg(TR, SEG_ATTR) & 8) !== 0;
  if (!readTss(cx, wide ? 4 + cpl * 8 : 2 + cpl * 4, wide ? 6 : 4, ext)) return null;
  const sp = wide ? cx.mmu.buf.getUint32(0, true) : cx.mmu.buf.getUint16(0, true);
  const selector = cx.mmu.buf.getUint16(wide ? 4 : 2, true);
  if (isNull(selector)) {
    state.raise(TS, ext);
    return null;
  }
  const d = readDescriptor(cx, selector, TS, ext);
  if (d === null) return null;
  const attr = attrOf(d);
  if ((selector & 3) !== cpl || dplOf(attr) !== cpl || !isWritableData(attr)) {
    selectorFault(cx, TS, selector, ext);
    return null;
  }
  if ((attr & ATTR_P) === 0) {
    selectorFault(cx, SS, selector, ext);
    return null;
  }
  const width = attr & ATTR_D ? 32 : 16;
  return { base: baseOf(d), limit: limitOf(d), attr, sp, width, selector, descriptor: d };
}
