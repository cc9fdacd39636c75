// Exceptions and interrupts: through the IDT to a handler, or double fault, or shutdown. SDM 3A 6.

import { DB, DF, EFER_LMA, GP, PF, TS } from './control-bits.ts';
import { DR6_BS, DR7_GD } from './debug.ts';
import { enterLongHandler } from './deliver-long.ts';
import { enterProtectedHandler } from './deliver-protected.ts';
import { enterRealHandler } from './deliver-real.ts';
import { inRealMode } from './descriptors.ts';
import { enteredQuickly } from './gates.ts';
import type { Cx } from './slow/define.ts';
import { FIELDS } from './state.ts';

export interface Event {
  readonly vector: number;
  /** Null: the vector has none. */
  readonly error: number | null;
  /** `software`: INT n, INT3, INTO: gate privileges are checked, and a fault on the way has EXT clear. */
  readonly kind: 'fault' | 'trap' | 'interrupt' | 'software';
}

/**
 * Runs an event through the tables at RIP, which is the faulting instruction's for faults and the next one's for others.
 * A fault on the way is delivered in its place, as SDM 3A table 6-5 says. #PF takes its address from `faultAddress`.
 */
export function deliver(cx: Cx, event: Event): 'ok' | 'shutdown' {
  const { state } = cx;
  let current = event;
  // Deliveries that fault end in #DF at the latest after two classes; benign ones cannot chain for ever.
  for (let tries = 0; tries < 8; tries++) {
    state.setWord(FIELDS.halted, 0);
    state.setWord(FIELDS.shadow, 0);
    if (enterHandler(cx, current) === 0 && !faultedInTask(cx)) return 'ok';
    const vector = state.word(FIELDS.faultVector);
    const next = afterFault(current, vector);
    if (next === 'shutdown') return 'shutdown';
    const error = state.word(FIELDS.faultHasError) ? state.word(FIELDS.faultError) : null;
    if (vector === PF) state.setVa(FIELDS.cr2, state.getVa(FIELDS.faultAddress));
    current =
      next === 'double'
        ? { vector: DF, error: 0, kind: 'fault' }
        : { vector, error, kind: 'fault' };
  }
  return 'shutdown';
}

/** One attempt. 1: a fault is raised and nothing but CR2 has changed. */
export function enterHandler(cx: Cx, event: Event): 0 | 1 {
  const { state } = cx;
  if (enteredQuickly(cx, event)) return 0;
  if (event.vector === PF && event.kind === 'fault')
    state.setVa(FIELDS.cr2, state.getVa(FIELDS.faultAddress));
  if (enterByMode(cx, event)) return 1;
  // The step ends with the event; the debug handler can use the debug registers. SDM 3B 18.2.4, 18.3.1.4.
  state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) & ~DR6_BS);
  if (event.vector === DB && event.kind !== 'software')
    state.setWord(FIELDS.dr7, state.word(FIELDS.dr7) & ~DR7_GD);
  return 0;
}

function enterByMode(cx: Cx, event: Event): 0 | 1 {
  const { state } = cx;
  if (inRealMode(state)) return enterRealHandler(cx, event);
  if (state.word(FIELDS.efer) & EFER_LMA) return enterLongHandler(cx, event);
  return enterProtectedHandler(cx, event);
}

/** A task gate has led into a task whose registers do not load: its fault comes on top of the event. */
function faultedInTask({ state }: Cx): boolean {
  const later = state.word(FIELDS.laterVector);
  if (later === 0) return false;
  state.setWord(FIELDS.laterVector, 0);
  state.raise(later - 1, state.word(FIELDS.laterHasError) ? state.word(FIELDS.laterError) : null);
  return true;
}

function afterFault(first: Event, second: number): 'serial' | 'double' | 'shutdown' {
  if (first.kind !== 'fault') return 'serial';
  if (first.vector === DF) return 'shutdown';
  if (isContributory(first.vector)) return isContributory(second) ? 'double' : 'serial';
  if (first.vector !== PF) return 'serial';
  return isContributory(second) || second === PF ? 'double' : 'serial';
}

/** #DE #TS #NP #SS #GP. SDM 3A table 6-4. */
function isContributory(vector: number): boolean {
  return vector === 0 || (vector >= TS && vector <= GP);
}
