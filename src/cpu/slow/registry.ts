// Slow paths by name: every exported SlowPath of this folder's files.

import { bug } from '../../base/errors.ts';
import type { SlowPath } from './define.ts';
import * as families from './index.gen.ts';

const byName = new Map<string, SlowPath>();
for (const family of Object.values(families)) {
  for (const path of Object.values(family as Readonly<Record<string, unknown>>)) {
    if (!isSlowPath(path)) continue;
    if (byName.has(path.name)) bug(`two slow paths are called ${path.name}`);
    byName.set(path.name, path);
  }
}

export const slowPaths: ReadonlyMap<string, SlowPath> = byName;

export function slowPath(name: string): SlowPath {
  return byName.get(name) ?? bug(`no slow path is called ${name}`);
}

function isSlowPath(thing: unknown): thing is SlowPath {
  return typeof thing === 'object' && thing !== null && 'run' in thing && 'ref' in thing;
}
