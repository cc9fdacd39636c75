// Hears everything that an interface reports: counts it, and makes events of what somebody wants to read.

import type { Manifest, Seen, SeenArguments } from '../../hypervisors/index.ts';
import type { OperationId } from '../../ops/index.ts';

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
}

export interface TraceCount {
  readonly operations: readonly OperationId[];
  readonly entryPoint: string;
  readonly count: number;
}

/** What stamps the events. */
export interface TraceClock {
  retired(): number;
  nanos(): number;
}

export interface TraceWish {
  /** Only what may have served one of these; null: everything. */
  readonly operations: ReadonlySet<OperationId> | null;
  /** Null: only count. */
  onEvent: ((event: TraceEvent) => void) | null;
}

const NONE: readonly OperationId[] = [];

export class Tracer {
  private readonly served: ReadonlyMap<string, readonly OperationId[]>;
  private readonly wish: TraceWish;
  private readonly counters = new Map<
    string,
    { operations: readonly OperationId[]; count: number }
  >();
  private clock: TraceClock = { retired: () => 0, nanos: () => 0 };

  constructor(manifest: Manifest | null, version: string, wish: TraceWish) {
    this.served = manifest ? servedBy(manifest, version) : new Map();
    this.wish = wish;
  }

  connect(clock: TraceClock): void {
    this.clock = clock;
  }

  readonly seen: Seen = (entryPoint, args, effect, operation) => {
    const operations = operation ? [operation] : (this.served.get(entryPoint) ?? NONE);
    const wanted = this.wish.operations;
    if (wanted && !operations.some((id) => wanted.has(id))) return;
    this.count(entryPoint, operations);
    this.wish.onEvent?.({
      operations,
      entryPoint,
      args,
      effect,
      vcpu: 0,
      retired: this.clock.retired(),
      nanos: this.clock.nanos(),
    });
  };

  /** The most frequent first. */
  counts(): TraceCount[] {
    return [...this.counters]
      .map(([key, { operations, count }]) => ({
        operations,
        entryPoint: key.split('\n')[1]!,
        count,
      }))
      .sort((a, b) => b.count - a.count || (a.entryPoint < b.entryPoint ? -1 : 1));
  }

  private count(entryPoint: string, operations: readonly OperationId[]): void {
    const key = `${operations.join(' ')}\n${entryPoint}`;
    const counter = this.counters.get(key);
    if (counter) counter.count++;
    else this.counters.set(key, { operations, count: 1 });
  }
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
