// Two traces side by side: where they part, and what one asked for that the other did not.

import { InputError } from '../../base/errors.ts';
import { entryPointsOf, findInterfaceOf } from '../../hypervisors/index.ts';
import { OPERATIONS } from '../../ops/index.ts';
import { align } from './align.ts';
import type { TraceHead } from './format.ts';
import { operationClasses } from './operation-classes.ts';
import type { Trace } from './read.ts';
import { functionOf, sharedCallers } from './shared-callers.ts';
import type { TraceEvent } from './tracer.ts';

/** How often each side asked for something, from somewhere. */
export interface CountDifference {
  readonly operation: string;
  /** The function that asked; empty where only one side has a name for it. */
  readonly caller: string;
  readonly counts: readonly [number, number];
  readonly entryPoints: readonly [readonly string[], readonly string[]];
}

export interface Divergence {
  /** Places among the compared events of each side, from 0. */
  readonly at: readonly [number, number];
  /** What only one side did; `answer`: both asked the same thing, and got or gave something else. */
  readonly kind: 'asked' | 'answer';
  readonly events: readonly [readonly TraceEvent[], readonly TraceEvent[]];
  /** How many events that are; `events` has the first of them. */
  readonly lengths: readonly [number, number];
  /** What each side did just before, and just after. */
  readonly before: readonly [readonly TraceEvent[], readonly TraceEvent[]];
  readonly after: readonly [readonly TraceEvent[], readonly TraceEvent[]];
}

export interface TraceDifference {
  /** `exact`: the same interface and kernel, so that every event must be the same. `operations`: what was asked, not how. */
  readonly compared: 'exact' | 'operations';
  readonly events: readonly [number, number];
  /** The first ones. */
  readonly divergences: readonly Divergence[];
  readonly divergenceCount: number;
  /** Pairs of the same event at another instruction or time; in `exact` only. */
  readonly onlyTime: number;
  /** Asked for more often by one of the two, the greatest difference first. */
  readonly unequal: readonly CountDifference[];
  /** Operations that one of the two has no way to show: not compared. */
  readonly notCompared: readonly CountDifference[];
}

export interface DiffLimits {
  readonly divergences: number;
  /** Events shown on each side of a divergence, and at most so many of the divergence itself. */
  readonly context: number;
}

const LIMITS: DiffLimits = { divergences: 10, context: 5 };
const EVENTS_SHOWN = 20;

export function compareTraces(a: Trace, b: Trace, limits: DiffLimits = LIMITS): TraceDifference {
  return isSameCell(a.head, b.head)
    ? compareExactly(a, b, limits)
    : compareOperations(a, b, limits);
}

/** Two runs that have to show the same: one kernel on one interface, asked for the same. */
const isSameCell = (a: TraceHead, b: TraceHead): boolean =>
  a.interface === b.interface &&
  a.sha256 === b.sha256 &&
  a.watched === b.watched &&
  JSON.stringify(a.operations) === JSON.stringify(b.operations);

function compareExactly(a: Trace, b: Trace, limits: DiffLimits): TraceDifference {
  const name = ({ operations, entryPoint, caller }: TraceEvent) =>
    `${operations.join(' ')}|${entryPoint}|${caller}`;
  const found = divergencesOf(a.events, b.events, name, sameAnswer, limits);
  const label = ({ operations }: TraceEvent) => operations.join(' ');
  return {
    compared: 'exact',
    events: [a.events.length, b.events.length],
    ...found,
    unequal: unequalCounts(a.events, b.events, label, functionOf),
    notCompared: [],
  };
}

function compareOperations(a: Trace, b: Trace, limits: DiffLimits): TraceDifference {
  const shown = [showable(a), showable(b)] as const;
  if (![...shown[0]].some((id) => shown[1].has(id))) throw nothingInCommon(a.head, b.head);
  // What may have been any of several operations is compared if both sides can show most of them.
  const both = ({ operations }: TraceEvent) => {
    const found = operations.filter((id) => shown[0].has(id) && shown[1].has(id));
    return operations.length > 0 && found.length * 2 >= operations.length;
  };
  const [left, right] = [a.events.filter(both), b.events.filter(both)];
  const classes = operationClasses([left, right]);
  const caller = sharedCallers(left, right, classes);
  const name = (event: TraceEvent) => `${classes(event)}|${caller(event)}`;
  const others = [a, b].map(({ events }) =>
    events.filter((event) => event.operations.length > 0 && !both(event)),
  );
  const label = ({ operations }: TraceEvent) => operations.join(' ');
  return {
    compared: 'operations',
    events: [left.length, right.length],
    ...divergencesOf(left, right, name, () => true, limits),
    onlyTime: 0,
    unequal: unequalCounts(left, right, classes, caller),
    notCompared: unequalCounts(others[0] ?? [], others[1] ?? [], label, () => ''),
  };
}

function nothingInCommon(a: TraceHead, b: TraceHead): InputError {
  return new InputError(
    'trace/nothing-in-common',
    `the traces of ${a.interface} and of ${b.interface} cannot be compared: no operation shows in both`,
    'make both with the same --ops, or with none.',
  );
}

/** What a trace could show: what its interface's manifest lets out, as far as the trace was asked for it. */
function showable({ head, events }: Trace): ReadonlySet<string> {
  const shown = new Set<string>(events.flatMap(({ operations }) => operations));
  const choice = findInterfaceOf(head.interface);
  const asked = head.operations ? new Set<string>(head.operations) : null;
  for (const op of choice ? OPERATIONS : []) {
    const entries = entryPointsOf(choice!.interface.ops, op, choice!.version);
    const visible = entries.some(
      ({ seen }) => seen === 'exit' || (seen === 'watched' && head.watched),
    );
    if (visible && (asked?.has(op.id) ?? true)) shown.add(op.id);
  }
  return shown;
}

interface Found {
  readonly divergences: Divergence[];
  readonly divergenceCount: number;
  readonly onlyTime: number;
}

function divergencesOf(
  left: readonly TraceEvent[],
  right: readonly TraceEvent[],
  name: (event: TraceEvent) => string,
  same: (a: TraceEvent, b: TraceEvent) => boolean,
  { divergences: most, context }: DiffLimits,
): Found {
  const numbers = new Map<string, number>();
  const numberOf = (event: TraceEvent) => {
    const text = name(event);
    const known = numbers.get(text) ?? numbers.size;
    numbers.set(text, known);
    return known;
  };
  const tokens = [left, right].map((events) => Int32Array.from(events, numberOf));
  const divergences: Divergence[] = [];
  let [count, onlyTime] = [0, 0];
  let [i, j] = [0, 0];
  const add = (kind: Divergence['kind'], toI: number, toJ: number) => {
    count++;
    if (divergences.length >= most) return;
    divergences.push({
      at: [i, j],
      kind,
      events: [left.slice(i, toI), right.slice(j, toJ)].map((list) =>
        list.slice(0, EVENTS_SHOWN),
      ) as unknown as Divergence['events'],
      lengths: [toI - i, toJ - j],
      before: [left.slice(Math.max(i - context, 0), i), right.slice(Math.max(j - context, 0), j)],
      after: [left.slice(toI, toI + context), right.slice(toJ, toJ + context)],
    });
  };
  const end = { a: [left.length, 0], b: [right.length, 0] } as const;
  for (const hunk of [...align(tokens[0]!, tokens[1]!), end]) {
    for (; i < hunk.a[0]; i++, j++) {
      const [x, y] = [left[i]!, right[j]!];
      if (!same(x, y)) add('answer', i + 1, j + 1);
      else if (x.retired !== y.retired || x.nanos !== y.nanos) onlyTime++;
    }
    if (hunk === end) break;
    add('asked', hunk.a[1], hunk.b[1]);
    [i, j] = [hunk.a[1], hunk.b[1]];
  }
  return { divergences, divergenceCount: count, onlyTime };
}

const sameAnswer = (a: TraceEvent, b: TraceEvent): boolean =>
  a.effect === b.effect &&
  a.vcpu === b.vcpu &&
  a.instructions === b.instructions &&
  JSON.stringify(a.args) === JSON.stringify(b.args);

function unequalCounts(
  left: readonly TraceEvent[],
  right: readonly TraceEvent[],
  operationOf: (event: TraceEvent) => string,
  callerOf: (event: TraceEvent) => string,
): CountDifference[] {
  const counted = new Map<
    string,
    { counts: [number, number]; names: [Set<string>, Set<string>] }
  >();
  for (const [side, events] of [left, right].entries()) {
    for (const event of events) {
      const key = `${operationOf(event)}|${callerOf(event)}`;
      const entry = counted.get(key) ?? { counts: [0, 0], names: [new Set(), new Set()] };
      entry.counts[side]!++;
      entry.names[side]!.add(event.entryPoint);
      counted.set(key, entry);
    }
  }
  return [...counted]
    .filter(
      ([
        ,
        {
          counts: [x, y],
        },
      ]) => x !== y,
    )
    .map(
      ([
        key,
        {
          counts,
          names: [x, y],
        },
      ]) => {
        const [operation = '', caller = ''] = key.split('|');
        return { operation, caller, counts, entryPoints: [[...x], [...y]] as const };
      },
    )
    .sort((a, b) => Math.abs(b.counts[0] - b.counts[1]) - Math.abs(a.counts[0] - a.counts[1]));
}
