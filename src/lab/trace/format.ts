// Traces as streams: JSON lines, the binary form, and the trace events that Chrome and Perfetto open.

import { binaryWriter } from './binary-write.ts';
import type { TraceEvent } from './tracer.ts';

export const TRACE_FORMATS = ['jsonl', 'binary', 'chrome'] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

export const JSON_FORMAT = 'pvops-trace-3';

export interface TraceHead {
  readonly interface: string;
  readonly kernel: string;
  readonly sha256: string;
  /** The operations that it was asked for; null: all. */
  readonly operations: readonly string[] | null;
  /** Page-table stores were watched. */
  readonly watched: boolean;
}

export type TraceChunk = string | Uint8Array;

/** A format as a stream: what comes first, each event, and what comes last. */
export interface TraceWriter {
  head(): TraceChunk;
  event(event: TraceEvent): TraceChunk;
  tail(): TraceChunk;
}

export function traceWriter(format: TraceFormat, head: TraceHead): TraceWriter {
  switch (format) {
    case 'jsonl':
      return jsonLines(head);
    case 'binary':
      return binaryWriter(head);
    case 'chrome':
      return chrome(head);
  }
}

/** The first line says what was run. A trace that is cut off is whole up to its last line. */
function jsonLines(head: TraceHead): TraceWriter {
  return {
    head: () => `${JSON.stringify({ format: JSON_FORMAT, ...head })}\n`,
    event: (event) => `${JSON.stringify(event)}\n`,
    tail: () => '',
  };
}

/** The array form, which readers accept without its end: "Trace Event Format", JSON Array Format. Times in microseconds. */
function chrome({ interface: on, kernel }: TraceHead): TraceWriter {
  const name = {
    name: 'process_name',
    cat: '__metadata',
    ph: 'M',
    ts: 0,
    pid: 1,
    tid: 0,
    args: { name: `${kernel} on ${on}` },
  };
  return {
    head: () => `[\n${JSON.stringify(name)}`,
    event: ({ operations, entryPoint, args, nanos, vcpu, ...rest }) =>
      `,\n${JSON.stringify({
        name: operations[0] ?? entryPoint,
        cat: operations[0]?.split('.')[0] ?? 'other',
        ph: 'i',
        s: 't',
        ts: nanos / 1000,
        pid: 1,
        tid: vcpu + 1, // 0 is nobody's: readers take it for the idle task.
        args: { ...args, entryPoint, ...rest },
      })}`,
    tail: () => '\n]\n',
  };
}
