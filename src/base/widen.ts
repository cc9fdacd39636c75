// Fields that begin with small numbers and outgrow them: V8 is told at once, not in the middle of a run.

import { bug } from './errors.ts';

/** No small integer of V8's, which has 31 or 32 bits. */
const WIDE = 2 ** 53;

/**
 * V8 keeps a field that has only held small integers apart from one that holds doubles. When it first holds another number its object
 * gets another shape, and all optimised code that knew the old one is dropped, to be optimised once more. After this the
 * `names` of `object` are doubles already; its shape is that of all that are made as it was.
 */
export function widen<T extends object>(object: T, ...names: readonly string[]): T {
  const fields = object as unknown as Record<string, number>;
  for (const name of names) {
    const value = fields[name] ?? bug(`there is no field ${name} to widen`);
    fields[name] = WIDE;
    fields[name] = value;
  }
  return object;
}
