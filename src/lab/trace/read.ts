// Traces read back from JSON lines: whatever the file holds, it is checked before it is believed.

import * as v from 'valibot';
import { InputError } from '../../base/errors.ts';
import { JSON_FORMAT, type TraceHead } from './format.ts';
import type { TraceEvent } from './tracer.ts';

export interface Trace {
  readonly head: TraceHead;
  readonly events: readonly TraceEvent[];
  /** The last line was cut off: the run that wrote it ended early. */
  readonly cut: boolean;
}

const headFields = {
  interface: v.string(),
  kernel: v.string(),
  sha256: v.string(),
  operations: v.nullable(v.array(v.string())),
  watched: v.boolean(),
};
const headSchema = v.object({ format: v.literal(JSON_FORMAT), ...headFields });
const value = v.union([v.string(), v.number()]);
const eventSchema = v.object({
  operations: v.array(v.string()),
  entryPoint: v.string(),
  args: v.record(v.string(), value),
  effect: v.nullable(value),
  vcpu: v.number(),
  retired: v.number(),
  nanos: v.number(),
  caller: v.string(),
  callers: v.string(),
  instructions: v.number(),
  within: v.nullable(v.string()),
});

/** The head of a trace in its binary form, which is JSON too. */
export function traceHead(text: string, name: string): TraceHead {
  const head = v.safeParse(v.pipe(v.string(), v.parseJson(), v.object(headFields)), text);
  if (!head.success) throw notTrace(name, 'its head does not say what was traced');
  return head.output;
}

/** What the lines of a file gave as JSON; `name` is the subject of errors. */
export function readTrace(lines: readonly unknown[], cut: boolean, name: string): Trace {
  const head = v.safeParse(headSchema, lines[0]);
  if (!head.success) throw notTrace(name, 'its first line does not say what was traced');
  const lists = new Map<string, TraceEvent['operations']>();
  const events = lines.slice(1).map((line, n) => {
    const event = v.safeParse(eventSchema, line);
    if (!event.success) throw notTrace(name, `line ${n + 2} is not an event`);
    // Operations that this version does not know stay strings. Equal lists become one.
    const own = event.output.operations as unknown as TraceEvent['operations'];
    const operations = lists.get(own.join(' ')) ?? own;
    lists.set(own.join(' '), operations);
    return { ...event.output, operations };
  });
  const { format: _, ...rest } = head.output;
  return { head: rest, events, cut };
}

export function notTrace(name: string, why: string): InputError {
  return new InputError(
    'trace/not-trace',
    `${name} is not a trace of pvops: ${why}`,
    'make one with: pvops trace KERNEL --on INTERFACE --out FILE',
  );
}
