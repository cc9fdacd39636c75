// Two traces side by side: where they first part, and what one asked for that the other did not.

import type { Trace } from './read.ts';
import type { TraceEvent } from './tracer.ts';

export interface OperationDifference {
  readonly operation: string;
  /** How often each trace may have asked for it. */
  readonly counts: readonly [number, number];
  readonly entryPoints: readonly [readonly string[], readonly string[]];
}

export interface Divergence {
  /** Which of the compared events, from 0. */
  readonly at: number;
  /** What each side asked for there; null: it had ended. */
  readonly events: readonly [TraceEvent | null, TraceEvent | null];
  /** What both had asked for just before. */
  readonly before: readonly TraceEvent[];
  /** What each went on with. */
  readonly after: readonly [readonly TraceEvent[], readonly TraceEvent[]];
}

export interface TraceDifference {
  /** `exact`: the same interface and kernel, so that every event must be the same. `operations`: what was asked, not how. */
  readonly compared: 'exact' | 'operations';
  readonly events: readonly [number, number];
  readonly divergence: Divergence | null;
  /** Operations that one of the two never shows. They are not compared: one side may have no way to show them. */
  readonly onlyOne: readonly OperationDifference[];
  /** Operations that both show, and not as often. */
  readonly unequal: readonly OperationDifference[];
}

const CONTEXT = 5;

export function compareTraces(a: Trace, b: Trace): TraceDifference {
  const exact = a.head.interface === b.head.interface && a.head.sha256 === b.head.sha256;
  const [first, second] = [countsOf(a.events), countsOf(b.events)];
  const both = new Set([...first.keys()].filter((id) => second.has(id)));
  const compared = [a, b].map(({ events }) =>
    exact ? events : events.filter(({ operations }) => operations.some((id) => both.has(id))),
  );
  const [left = [], right = []] = compared;
  const all = [...new Set([...first.keys(), ...second.keys()])].sort();
  const differences = all.map((operation) => difference(operation, first, second));
  return {
    compared: exact ? 'exact' : 'operations',
    events: [left.length, right.length],
    divergence: divergence(left, right, exact ? sameEvent : sameOperation),
    onlyOne: differences.filter(({ counts }) => counts.includes(0)),
    unequal: differences.filter(({ counts: [x, y] }) => x !== y && x > 0 && y > 0),
  };
}

interface Counted {
  count: number;
  readonly entryPoints: Set<string>;
}

function countsOf(events: readonly TraceEvent[]): Map<string, Counted> {
  const counts = new Map<string, Counted>();
  for (const { operations, entryPoint } of events) {
    for (const id of operations) {
      const counted = counts.get(id) ?? { count: 0, entryPoints: new Set<string>() };
      counted.count++;
      counted.entryPoints.add(entryPoint);
      counts.set(id, counted);
    }
  }
  return counts;
}

function difference(
  operation: string,
  first: ReadonlyMap<string, Counted>,
  second: ReadonlyMap<string, Counted>,
): OperationDifference {
  const [x, y] = [first.get(operation), second.get(operation)];
  return {
    operation,
    counts: [x?.count ?? 0, y?.count ?? 0],
    entryPoints: [[...(x?.entryPoints ?? [])], [...(y?.entryPoints ?? [])]],
  };
}

function divergence(
  left: readonly TraceEvent[],
  right: readonly TraceEvent[],
  same: (a: TraceEvent, b: TraceEvent) => boolean,
): Divergence | null {
  const shorter = Math.min(left.length, right.length);
  let at = 0;
  while (at < shorter && same(left[at]!, right[at]!)) at++;
  if (at === left.length && at === right.length) return null;
  return {
    at,
    events: [left[at] ?? null, right[at] ?? null],
    before: left.slice(Math.max(at - CONTEXT, 0), at),
    after: [left.slice(at + 1, at + 1 + CONTEXT), right.slice(at + 1, at + 1 + CONTEXT)],
  };
}

const sameEvent = (a: TraceEvent, b: TraceEvent): boolean =>
  a.retired === b.retired && JSON.stringify(a) === JSON.stringify(b);

/** One entry point may serve several operations: it is enough that they have one in common. */
const sameOperation = (a: TraceEvent, b: TraceEvent): boolean =>
  a.operations.some((id) => b.operations.includes(id));
