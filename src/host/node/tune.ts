// Settings of V8 for this process: what suits a program of many middling functions, each hot for a second or so.

import { setFlagsFromString } from 'node:v8';

/**
 * TurboFan inlines up to so much bytecode into one function (its default is 920). Most of ours are called from several
 * hot places, so that the same bodies were optimised again and again: a third of that costs no speed that shows, and
 * saves a tenth of the CPU time of a boot (docs/benchmarks.md).
 */
const INLINED_BYTECODE = 300;

/** For the whole process, workers included. Before anything is hot. */
export function tuneV8(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE}`);
}
