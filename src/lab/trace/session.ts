// A trace under way: events as text that somebody takes away from time to time, and counts.

import type { InterfaceChoice } from '../../hypervisors/index.ts';
import { operationsLike } from '../operations.ts';
import { type TraceFormat, type TraceHead, traceWriter } from './format.ts';
import { type TraceCount, Tracer } from './tracer.ts';

export interface TraceSession {
  readonly tracer: Tracer;
  /** Text since the last time. */
  take(): string;
  /** The last text. */
  finish(): string;
  counts(): TraceCount[];
}

export interface TraceOptions {
  readonly on: InterfaceChoice;
  readonly head: Omit<TraceHead, 'interface'>;
  /** Patterns of operations: `mmu.*,irq.halt`; null: everything. */
  readonly operations: string | null;
  /** Null: only count. */
  readonly format: TraceFormat | null;
}

export function startTrace({ on, head, operations, format }: TraceOptions): TraceSession {
  const wanted =
    operations === null ? null : new Set(operationsLike(operations).map(({ id }) => id));
  const writer = format && traceWriter(format, { interface: on.name, ...head });
  let pending = writer ? [writer.head()] : [];
  const tracer = new Tracer(on.interface.ops ?? null, on.version, {
    operations: wanted,
    onEvent: writer && ((event) => pending.push(writer.event(event))),
  });
  const take = () => {
    const text = pending.join('');
    pending = [];
    return text;
  };
  return {
    tracer,
    take,
    finish: () => take() + (writer?.tail() ?? ''),
    counts: () => tracer.counts(),
  };
}
