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

/** Takes the lines of a file one by one, as what they gave as JSON; `name` is the subject of errors. */
export class TraceReader {
  private readonly name: string;
  private head: TraceHead | null = null;
  private readonly events: TraceEvent[] = [];
  /** Equal texts and lists become one: a trace has millions of them, and few that differ. */
  private readonly texts = new Map<string, string>();
  private readonly lists = new Map<string, TraceEvent['operations']>();

  constructor(name: string) {
    this.name = name;
  }

  line(value: unknown): void {
    if (!this.head) {
      this.head = this.headOf(value);
      return;
    }
    const event = v.safeParse(eventSchema, value);
    if (!event.success) throw notTrace(this.name, `line ${this.events.length + 2} is not an event`);
    const { operations, entryPoint, caller, callers, ...rest } = event.output;
    this.events.push({
      ...rest,
      operations: this.list(operations),
      entryPoint: this.text(entryPoint),
      caller: this.text(caller),
      callers: this.text(callers),
    });
  }

  /** `cut`: the last line has no end. */
  trace(cut: boolean): Trace {
    return { head: this.head ?? this.headOf(null), events: this.events, cut };
  }

  private headOf(value: unknown): TraceHead {
    const head = v.safeParse(headSchema, value);
    if (!head.success) throw notTrace(this.name, 'its first line does not say what was traced');
    const { format: _, ...rest } = head.output;
    return rest;
  }

  private text(text: string): string {
    const known = this.texts.get(text);
    if (known === undefined) this.texts.set(text, text);
    return known ?? text;
  }

  /** Operations that this version does not know stay strings. */
  private list(own: readonly string[]): TraceEvent['operations'] {
    const key = own.join(' ');
    const known = this.lists.get(key) ?? (own as TraceEvent['operations']);
    this.lists.set(key, known);
    return known;
  }
}

/** All lines at once. */
export function readTrace(lines: readonly unknown[], cut: boolean, name: string): Trace {
  const reader = new TraceReader(name);
  for (const line of lines) reader.line(line);
  return reader.trace(cut);
}

export function notTrace(name: string, why: string): InputError {
  return new InputError(
    'trace/not-trace',
    `${name} is not a trace of pvops: ${why}`,
    'make one with: pvops trace KERNEL --on INTERFACE --out FILE',
  );
}
