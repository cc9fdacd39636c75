// Operations that a trace cannot tell apart: an entry point that may serve several of them makes them one class.

import type { TraceEvent } from './tracer.ts';

/** By the classes that all of these events together make: the name of an event's class, its least operation. */
export function operationClasses(
  traces: readonly (readonly TraceEvent[])[],
): (event: TraceEvent) => string {
  const parent = new Map<string, string>();
  const rootOf = (id: string): string => {
    let root = id;
    for (let next = parent.get(root); next !== undefined; next = parent.get(root)) root = next;
    return root;
  };
  const seen = new Set<readonly string[]>();
  for (const events of traces) {
    for (const { operations } of events) {
      if (operations.length < 2 || seen.has(operations)) continue;
      seen.add(operations);
      const roots = [...new Set(operations.map(rootOf))].sort();
      for (const other of roots.slice(1)) parent.set(other, roots[0]!);
    }
  }
  return ({ operations }) => rootOf(operations[0] ?? '');
}
