// Exceptions and interrupts: through the IDT to a handler, or double fault, or shutdown. SDM 3A 6.

import { DF, EFER_LMA, GP, PF, TS } from './control-bits.ts';
import { enterLongHandler } from './deliver-long.ts';
import { enterProtectedHandler } from './deliver-protected.ts';
import { enterRealHandler } from './deliver-real.ts';
import { inRealMode } from './descriptors.ts';
import type { Cx } from './slow/define.ts';

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
    state.set('halted', 0);
    state.set('shadow', 0);
    if (enterHandler(cx, current) === 0) return 'ok';
    const vector = state.get('faultVector');
    const next = afterFault(current, vector);
    if (next === 'shutdown') return 'shutdown';
    const error = state.get('faultHasError') ? state.get('faultError') : null;
    if (vector === PF) state.setVa('cr2', state.getVa('faultAddress'));
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
  if (event.vector === PF && event.kind === 'fault')
    state.setVa('cr2', state.getVa('faultAddress'));
  if (inRealMode(state)) return enterRealHandler(cx, event);
  if (state.get('efer') & EFER_LMA) return enterLongHandler(cx, event);
  return enterProtectedHandler(cx, event);
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
