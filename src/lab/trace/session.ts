// A trace under way: events in a format that somebody takes away from time to time, and counts.

import type { InterfaceChoice } from '../../hypervisors/index.ts';
import { operationsLike } from '../operations.ts';
import { type TraceChunk, type TraceFormat, type TraceHead, traceWriter } from './format.ts';
import { type TraceNames, Tracer } from './tracer.ts';

export interface TraceSession {
  readonly tracer: Tracer;
  /** What there is since the last time. */
  take(): TraceChunk[];
  /** The last of it. */
  finish(): TraceChunk[];
}

export interface TraceOptions extends Partial<TraceNames> {
  readonly on: InterfaceChoice;
  readonly head: Pick<TraceHead, 'kernel' | 'sha256'>;
  /** Patterns of operations: `mmu.*,irq.halt`; null: everything. */
  readonly operations: string | null;
  /** Null: only count. */
  readonly format: TraceFormat | null;
  /** The host's clock: costs are measured. */
  readonly hostNanos?: (() => number) | null;
}

export function startTrace(options: TraceOptions): TraceSession {
  const { on, head, operations, format, ...wish } = options;
  const wanted =
    operations === null ? null : new Set(operationsLike(operations).map(({ id }) => id));
  let pending: TraceChunk[] = [];
  const tracer = new Tracer(on.interface.ops, on.version, {
    ...wish,
    operations: wanted,
    onEvent: format && ((event) => writer && pending.push(writer.event(event))),
  });
  const shown = { operations: wanted && [...wanted], watched: tracer.watchesTables };
  const writer = format && traceWriter(format, { interface: on.name, ...head, ...shown });
  if (writer) pending.push(writer.head());
  const take = () => {
    const taken = pending;
    pending = [];
    return taken;
  };
  return {
    tracer,
    take,
    finish: () => (writer ? [...take(), writer.tail()] : take()),
  };
}
