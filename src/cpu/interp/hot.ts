// The handlers that stand in the hot function: those that executed most in boots of Debian kernels.

import { decode } from '../decode.ts';
import { type HandlerList, handlerSpec, nameOf } from './handlers.ts';
import { hotList, warmList } from './hot-list.ts';
import type { HandlerSpec } from './module.ts';

let hot: HandlerList | null = null;
let warm: HandlerList | null = null;

/** The cases of the hot function. */
export function hotHandlers(): HandlerList {
  hot ??= parseList(hotList);
  return hot;
}

/** What boots met besides, seldom: compiled together, in one module, once a run begins to need them. */
export function warmHandlers(): HandlerList {
  warm ??= parseList(warmList);
  return warm;
}

/** Each line of a list is a mode, code bytes, and the known producer of the flags: one example of the handler. */
function parseList(list: readonly string[]): HandlerList {
  const names = new Set<string>();
  const examples: string[] = [];
  const specs: HandlerSpec[] = [];
  for (const line of list) {
    const spec = parse(line);
    if (!spec) continue;
    const name = nameOf(spec);
    if (names.has(name)) continue;
    names.add(name);
    examples.push(line);
    specs.push(spec);
  }
  return { names: [...names], examples, specs };
}

function parse(line: string): HandlerSpec | null {
  const [mode, hex, fn, width] = line.split(' ') as [string, string, string?, string?];
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (b) => Number.parseInt(b, 16));
  const d = decode(bytes, 0, bytes.length, Number(mode) as 16 | 32 | 64);
  if ('failure' in d) return null;
  const known = fn === undefined ? null : ({ fn, width: Number(width) } as HandlerSpec['known']);
  return handlerSpec(d, known, true);
}
