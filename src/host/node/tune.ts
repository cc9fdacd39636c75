// Settings of V8 for this process: what suits a program of many middling functions, each hot for a second or so.

import { setFlagsFromString } from 'node:v8';

/**
 * TurboFan inlines up to so much bytecode into one function (its default is 920). Most of ours are called from several
 * hot places, so that the same bodies were optimised again and again: a third of that costs no speed that shows, and
 * saves a tenth of the CPU time of a boot (docs/benchmarks.md).
 */
const INLINED_BYTECODE = 300;

/**
 * V8 optimises a WebAssembly function when it has run so many bytes of its first machine code (its default is 1.8 MB), and counts
 * all of a function at each return: a region of ours that had been entered some 600 times. That costs a millisecond, which
 * the better code earns back in some ten thousand entries: 40 MB are about that many. Loops still get there at once.
 */
const TIERING_BUDGET = 40_000_000;

/** For the whole process, workers included. Before anything is hot. */
export function tuneV8(): void {
  // What ran once is not compiled twice, and stands in the code that is kept (code-cache.ts).
  setFlagsFromString('--no-flush-bytecode');
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE}`);
  setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
}
