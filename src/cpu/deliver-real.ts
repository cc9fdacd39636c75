// Interrupt delivery in real mode: through the table of far pointers. SDM 3A 21.1.4.

import { EFLAGS_AC, EFLAGS_IF, EFLAGS_RF, EFLAGS_TF, GP } from './control-bits.ts';
import type { Event } from './deliver.ts';
import { CS, setRealSegment } from './descriptors.ts';
import { readFlags, writeFlags } from './flags.ts';
import type { Cx } from './slow/define.ts';
import { currentStack, pushWords, setStackPointer } from './stack.ts';
import { FIELDS, SEG_SELECTOR } from './state.ts';

/** Error codes are not pushed in real mode. */
export function enterRealHandler(cx: Cx, event: Event): 0 | 1 {
  const { state } = cx;
  if (event.vector * 4 + 3 > state.get(FIELDS.idtrLimit)) return state.raise(GP, 0);
  if (!cx.mmu.read(state.getVa(FIELDS.idtrBase) + event.vector * 4, 4, 'system')) return 1;
  const target = cx.mmu.buf.getUint16(0, true);
  const selector = cx.mmu.buf.getUint16(2, true);
  const stack = currentStack(state);
  const words = [readFlags(state), state.seg(CS, SEG_SELECTOR), state.get(FIELDS.rip)];
  const sp = pushWords(cx, stack, 2, words, 'current');
  if (sp === null) return 1;
  setStackPointer(state, sp, stack.width);
  setRealSegment(state, CS, selector);
  state.setVa(FIELDS.rip, target);
  writeFlags(state, 0, EFLAGS_IF | EFLAGS_TF | EFLAGS_RF | EFLAGS_AC);
  cx.modeChanged();
  return 0;
}
