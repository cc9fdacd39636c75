// Operations that a trace cannot tell apart: an entry point that may serve several of them makes them one class.

import type { TraceEvent } from './tracer.ts';

/** By the classes that all of these events together make: the name of an event's class. */
export function operationClasses(
  traces: readonly (readonly TraceEvent[])[],
): (event: TraceEvent) => string {
  const parent = new Map<string, string>();
  const rootOf = (id: string): string => {
    let root = id;
    for (let next = parent.get(root); next !== undefined; next = parent.get(root)) root = next;
    return root;
  };
  const lists = new Set(traces.flatMap((events) => events.map(({ operations }) => operations)));
  for (const operations of lists) {
    const roots = [...new Set(operations.map(rootOf))].sort();
    for (const other of roots.slice(1)) parent.set(other, roots[0]!);
  }
  // A class goes by what an event of it certainly was, if there is any.
  const certain = new Map<string, string>();
  for (const [id = '', ...more] of [...lists].sort())
    if (more.length === 0 && !certain.has(rootOf(id))) certain.set(rootOf(id), id);
  return ({ operations }) => {
    const root = rootOf(operations[0] ?? '');
    return certain.get(root) ?? root;
  };
}
