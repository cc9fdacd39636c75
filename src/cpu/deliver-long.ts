// Interrupt delivery in IA-32e mode: 64-bit gates, IST, a stack frame that always has SS:RSP. SDM 3A 6.14.

import { GP, isCanonical, NP } from './control-bits.ts';
import type { Event } from './deliver.ts';
import {
  attrOf,
  CS,
  dplOf,
  markAccessed,
  SS_REG,
  selectorFault,
  setNullSegment,
  setSegment,
  TYPE_CONFORMING,
} from './descriptors.ts';
import { extOf, flagsOnEntry, gateFault, handlerSegment, pushedFlags, readTss } from './gates.ts';
import type { Cx } from './slow/define.ts';
import { pushWords, setStackPointer, word } from './stack.ts';
import { ATTR_D, ATTR_L, FIELDS, GPR_AT, SEG_SELECTOR } from './state.ts';

const INTERRUPT_GATE = 0xe;
const TRAP_GATE = 0xf;
const TSS_RSP0 = 4;
const TSS_IST1 = 0x24;
const RSP = 4;

interface Gate {
  readonly selector: number;
  readonly target: number;
  readonly ist: number;
  readonly masksInterrupts: boolean;
}

export function enterLongHandler(cx: Cx, event: Event): 0 | 1 {
  const { state } = cx;
  const ext = extOf(event);
  const gate = readGate(cx, event);
  if (gate === null) return 1;
  const d = handlerSegment(cx, gate.selector, ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  if ((attr & (ATTR_L | ATTR_D)) !== ATTR_L) return selectorFault(cx, GP, gate.selector, ext);
  if (!isCanonical(gate.target)) return state.raise(GP, ext);
  const cpl = attr & TYPE_CONFORMING ? state.word(FIELDS.cpl) : dplOf(attr);
  const inward = cpl < state.word(FIELDS.cpl);
  const top = stackTop(cx, gate.ist, inward, cpl, ext);
  if (top === null) return 1;
  const sp = pushFrame(cx, event, top, cpl);
  if (sp === null || !markAccessed(cx, d)) return 1;
  if (inward) setNullSegment(state, SS_REG, cpl);
  setSegment(state, CS, (gate.selector & 0xfffc) | cpl, d);
  state.setVa(FIELDS.rip, gate.target);
  setStackPointer(state, sp, 64);
  flagsOnEntry(cx, gate.masksInterrupts);
  state.setWord(FIELDS.cpl, cpl);
  cx.modeChanged();
  return 0;
}

function readGate(cx: Cx, event: Event): Gate | null {
  const { state } = cx;
  if (event.vector * 16 + 15 > state.word(FIELDS.idtrLimit))
    return failed(gateFault(cx, GP, event));
  if (!cx.mmu.read(state.getVa(FIELDS.idtrBase) + event.vector * 16, 16, 'system')) return null;
  const { buf } = cx.mmu;
  const w0 = buf.getUint32(0, true);
  const w1 = buf.getUint32(4, true);
  const high = buf.getInt32(8, true);
  const type = (w1 >>> 8) & 0x1f;
  if (type !== INTERRUPT_GATE && type !== TRAP_GATE) return failed(gateFault(cx, GP, event));
  if (event.kind === 'software' && ((w1 >>> 13) & 3) < state.word(FIELDS.cpl))
    return failed(gateFault(cx, GP, event));
  if ((w1 & 0x8000) === 0) return failed(gateFault(cx, NP, event));
  return {
    selector: w0 >>> 16,
    target: high * 4294967296 + (((w1 & 0xffff0000) | (w0 & 0xffff)) >>> 0),
    ist: w1 & 7,
    masksInterrupts: type === INTERRUPT_GATE,
  };
}

const failed = (_raised: 1): null => null;

/** Where the frame begins, before alignment. Null: a fault is raised. */
function stackTop(cx: Cx, ist: number, inward: boolean, cpl: number, ext: number): number | null {
  if (ist === 0 && !inward) return cx.state.vaAt(GPR_AT + RSP * 8);
  const offset = ist === 0 ? TSS_RSP0 + cpl * 8 : TSS_IST1 + (ist - 1) * 8;
  return readTss(cx, offset, 8, ext) ? word(cx, 8, 0) : null;
}

function pushFrame(cx: Cx, event: Event, top: number, cpl: number): number | null {
  const { state } = cx;
  // The processor aligns the frame to 16 bytes. SDM 3A 6.14.2.
  const stack = { base: 0, limit: 0, attr: 0, sp: top - (top & 15), width: 64 } as const;
  const words = [
    state.seg(SS_REG, SEG_SELECTOR),
    state.vaAt(GPR_AT + RSP * 8),
    pushedFlags(cx, event),
    state.seg(CS, SEG_SELECTOR),
    state.getVa(FIELDS.rip),
  ];
  if (event.error !== null) words.push(event.error);
  return pushWords(cx, stack, 8, words, cpl === 3 ? 'current' : 'system', extOf(event));
}
