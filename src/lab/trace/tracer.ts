// Hears everything that an interface reports: counts it, and makes events of what somebody wants to read.

import {
  entryPointsOf,
  type Manifest,
  type Seen,
  type SeenArguments,
} from '../../hypervisors/index.ts';
import type { ElfFile, SymbolTable } from '../../image/index.ts';
import { GROUPS, OPERATIONS, type OperationId } from '../../ops/index.ts';
import type { CallSite } from './call-sites.ts';

export interface TraceEvent {
  /** Operations that the entry point may have served; usually one. Empty: it serves none. */
  readonly operations: readonly OperationId[];
  readonly entryPoint: string;
  readonly args: SeenArguments;
  readonly effect: number | string | null;
  readonly vcpu: number;
  /** Instructions completed before. */
  readonly retired: number;
  /** Guest time. */
  readonly nanos: number;
  /** Where it was called from, by symbol if one is known. */
  readonly caller: string;
  /** Functions beyond it, from the inside out, separated by spaces; empty where the stack cannot be told. */
  readonly callers: string;
  /** Guest instructions from the call to its return. */
  readonly instructions: number;
  /** The entry point that carried it among others, such as a multicall; null: it came by itself. */
  readonly within: string | null;
}

export interface TraceCount {
  readonly operations: readonly OperationId[];
  readonly entryPoint: string;
  readonly count: number;
  /** With `costs` only. Guest instructions from call to return, of all of them. */
  readonly instructions: number;
  /** With `costs` only: time of the host in handlers, in nanoseconds. Not reproducible. */
  readonly hostNanos: number;
}

/** An entry point that carries others, and how many rode. */
export interface BatchCount {
  readonly entryPoint: string;
  readonly count: number;
  readonly carried: number;
  readonly most: number;
}

/** What stamps the events. */
export interface TraceClock {
  retired(): number;
  nanos(): number;
  /** Where what is answered now was called from. */
  site(): CallSite;
}

/** What gives callers their names. */
export interface TraceNames {
  /** Null: callers are addresses. */
  readonly symbols: SymbolTable | null;
  /** The kernel that the symbols are of. */
  readonly elf: ElfFile | null;
}

export interface TraceWish extends Partial<TraceNames> {
  /** Only what may have served one of these; null: everything. */
  readonly operations: ReadonlySet<OperationId> | null;
  /** Null: only count. */
  onEvent: ((event: TraceEvent) => void) | null;
  /** The host's clock, in nanoseconds: what each answer costs is measured. Null: it is not. */
  readonly hostNanos?: (() => number) | null;
}

/** Of what serves no operation. */
const OTHER = 'other';
/** Groups of the catalogue, and the rest. */
export const COUNTED_GROUPS: readonly string[] = [...GROUPS, OTHER];

const NONE: readonly OperationId[] = [];
const NO_SITE: CallSite = { caller: '', callers: '', instructions: 0 };
const UNFINISHED = 'to be continued';

const nameOf = ({ entryPoint, operations }: TraceCount): string =>
  `${entryPoint}\n${operations.join()}`;
const isCounted = ({ count }: Counter): boolean => count > 0;

interface Counter {
  readonly operation: OperationId | undefined;
  /** One of the operations that the trace is asked for. */
  readonly wanted: boolean;
  readonly operations: readonly OperationId[];
  count: number;
  instructions: number;
  hostNanos: number;
}

/** What an entry point has carried. `waiting`: since it was last reported. */
interface Batch {
  count: number;
  carried: number;
  most: number;
  waiting: number;
}

export class Tracer {
  /** Whether stores to page tables are asked for, on an interface where they are only to be seen by watching. */
  readonly watchesTables: boolean;
  /** Whether call sites are asked for. */
  wantsSites: boolean;
  readonly names: TraceNames;
  private readonly served: ReadonlyMap<string, readonly OperationId[]>;
  private readonly wish: TraceWish;
  private readonly counters = new Map<string, Counter[]>();
  private readonly batches = new Map<string, Batch>();
  /** Batches that have not been reported yet. */
  private open = 0;
  private clock: TraceClock = { retired: () => 0, nanos: () => 0, site: () => NO_SITE };
  private since = 0;
  private listener: ((event: TraceEvent) => void) | null = null;

  constructor(manifest: Manifest, version: string, wish: TraceWish) {
    this.served = servedBy(manifest, version);
    this.wish = wish;
    this.watchesTables = wish.operations !== null && watches(manifest, version, wish.operations);
    this.names = { symbols: wish.symbols ?? null, elf: wish.elf ?? null };
    this.wantsSites = wish.onEvent !== null || (wish.hostNanos ?? null) !== null;
  }

  connect(clock: TraceClock): void {
    this.clock = clock;
  }

  /** The interface, or the machine, begins to answer. */
  entered(): void {
    const { hostNanos } = this.wish;
    if (hostNanos) this.since = hostNanos();
  }

  /** Everything that is seen is told to `listener` too, whatever the trace was asked for. */
  listen(listener: (event: TraceEvent) => void): void {
    this.listener = listener;
    this.wantsSites = true;
  }

  readonly seen: Seen = (entryPoint, args, effect, operation, within) => {
    const counter = this.counter(entryPoint, operation);
    const wanted = counter.wanted ? this.wish.onEvent : null;
    const site = this.wantsSites ? this.clock.site() : NO_SITE;
    if (wanted || this.listener) {
      const event = {
        operations: counter.operations,
        entryPoint,
        args,
        effect,
        vcpu: 0,
        retired: this.clock.retired(),
        nanos: this.clock.nanos(),
        caller: site.caller,
        callers: site.callers,
        instructions: site.instructions,
        within: within ?? null,
      };
      this.listener?.(event);
      wanted?.(event);
    }
    if (counter.wanted) this.count(counter, entryPoint, effect, within, site);
    this.entered(); // One answer may be several operations: each gets its part of the time.
  };

  /** The same as so many calls of `seen`, for what nobody wants to read. */
  readonly counted = (entryPoint: string, operation: OperationId, times: number): void => {
    const counter = this.counter(entryPoint, operation);
    if (counter.wanted) counter.count += times;
  };

  /** The most frequent first. */
  counts(): TraceCount[] {
    return [...this.counters]
      .flatMap(([entryPoint, counters]) =>
        counters.filter(isCounted).map(({ operations, count, instructions, hostNanos }) => ({
          ...{ operations, entryPoint, count, instructions, hostNanos },
        })),
      )
      .sort((a, b) => b.count - a.count || (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  /** So far, by group of the catalogue, in the order of `COUNTED_GROUPS`. */
  groupCounts(): number[] {
    const counts = COUNTED_GROUPS.map(() => 0);
    for (const counters of this.counters.values()) {
      for (const { operations, count } of counters) {
        const group = operations[0]?.split('.')[0] ?? OTHER;
        counts[COUNTED_GROUPS.indexOf(group)]! += count;
      }
    }
    return counts;
  }

  batchCounts(): BatchCount[] {
    return [...this.batches]
      .filter(([, { count }]) => count > 0)
      .map(([entryPoint, { count, carried, most }]) => ({ entryPoint, count, carried, most }));
  }

  private counter(entryPoint: string, operation: OperationId | undefined): Counter {
    const counters = this.counters.get(entryPoint) ?? [];
    for (const counter of counters) if (counter.operation === operation) return counter;
    const operations = operation ? [operation] : (this.served.get(entryPoint) ?? NONE);
    const { operations: asked } = this.wish;
    const wanted = asked === null || operations.some((id) => asked.has(id));
    const fresh = { operation, operations, wanted, count: 0, instructions: 0, hostNanos: 0 };
    this.counters.set(entryPoint, [...counters, fresh]);
    return fresh;
  }

  private count(
    counter: Counter,
    entryPoint: string,
    effect: number | string | null,
    within: string | undefined,
    site: CallSite,
  ): void {
    const { hostNanos } = this.wish;
    counter.count++;
    if (hostNanos) {
      counter.instructions += site.instructions;
      counter.hostNanos += hostNanos() - this.since;
    }
    if (within !== undefined || this.open > 0) this.batch(entryPoint, effect, within);
  }

  private batch(
    entryPoint: string,
    effect: number | string | null,
    within: string | undefined,
  ): void {
    if (within !== undefined && this.batchOf(within).waiting++ === 0) this.open++;
    const batch = this.batches.get(entryPoint);
    if (!batch || batch.waiting === 0 || effect === UNFINISHED) return;
    batch.count++;
    batch.carried += batch.waiting;
    batch.most = Math.max(batch.most, batch.waiting);
    batch.waiting = 0;
    this.open--;
  }

  private batchOf(entryPoint: string): Batch {
    let batch = this.batches.get(entryPoint);
    if (!batch) {
      batch = { count: 0, carried: 0, most: 0, waiting: 0 };
      this.batches.set(entryPoint, batch);
    }
    return batch;
  }
}

function watches(manifest: Manifest, version: string, ids: ReadonlySet<OperationId>): boolean {
  return OPERATIONS.some(
    (op) =>
      ids.has(op.id) && entryPointsOf(manifest, op, version).some(({ seen }) => seen === 'watched'),
  );
}

/** The manifest the other way round. */
function servedBy(manifest: Manifest, version: string): Map<string, OperationId[]> {
  const served = new Map<string, OperationId[]>();
  for (const [id, entries] of Object.entries(manifest.operations)) {
    for (const { name, versions } of entries ?? []) {
      if (versions && !versions.includes(version)) continue;
      served.set(name, [...(served.get(name) ?? []), id as OperationId]);
    }
  }
  return served;
}
