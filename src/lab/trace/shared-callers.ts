// Callers by which events of two runs can be told to be the same: functions that both runs have, beyond the back end's own.

import type { TraceEvent } from './tracer.ts';

/** Of the events that have a function on their stack, the smaller side's are at least this part of the larger's. */
const ALIKE = 0.5;

/**
 * On each interface another function of the kernel asks (`xen_cpuid`, `native_cpuid`), and the same functions call it. For each
 * event of one class of operations: the innermost function on its stack that asks about as often on either side; the
 * one that comes nearest to it if there is none. Where only one side has its functions: the one that called the one that
 * asked; or, if the sides have nothing in common in this class, empty.
 */
export function sharedCallers(
  left: readonly TraceEvent[],
  right: readonly TraceEvent[],
  classes: (event: TraceEvent) => string,
): (event: TraceEvent) => string {
  const counts = new Map<string, [number, number]>();
  for (const [side, events] of [left, right].entries()) {
    for (const event of events) {
      for (const name of new Set(functionsOf(event))) {
        const key = `${classes(event)}|${name}`;
        const both = counts.get(key) ?? [0, 0];
        both[side]!++;
        counts.set(key, both);
      }
    }
  }
  const comparable = new Set<string>();
  for (const [key, both] of counts)
    if (likeness(both) >= ALIKE) comparable.add(key.slice(0, key.indexOf('|')));
  const chosen = new Map<string, string>();
  return (event) => {
    const kind = classes(event);
    const key = `${kind}|${event.caller}|${event.callers}`;
    const known = chosen.get(key);
    if (known !== undefined) return known;
    const names = functionsOf(event);
    const best = bestOf(names, (each) => likeness(counts.get(`${kind}|${each}`)));
    const name = best === '' && comparable.has(kind) ? (names[1] ?? names[0] ?? '') : best;
    chosen.set(key, name);
    return name;
  };
}

/** `switch_mm_irqs_off+0x10` is `switch_mm_irqs_off`; so is what compilers split off. Addresses are nobody's name. */
export function functionOf({ caller }: Pick<TraceEvent, 'caller'>): string {
  return caller.startsWith('0x') ? '' : (/^[^+.]*/.exec(caller)?.[0] ?? '');
}

/** From the inside out. */
function functionsOf({ caller, callers }: TraceEvent): string[] {
  return [caller, ...callers.split(' ')]
    .map((name) => functionOf({ caller: name }))
    .filter((name) => name !== '');
}

function bestOf(names: readonly string[], measure: (name: string) => number): string {
  let best = { name: '', value: 0 };
  for (const name of names) {
    const value = measure(name);
    if (value >= ALIKE) return name;
    if (value > best.value) best = { name, value };
  }
  return best.name;
}

const likeness = ([a, b]: readonly [number, number] = [0, 0]): number =>
  Math.min(a, b) / Math.max(a, b, 1);
