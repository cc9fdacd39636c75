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

/**
 * V8 optimises a function when it has run so much bytecode (its default is 67584). Many of those that a boot had optimised were nearly
 * done with their work by then: twice that saves an eighth of a boot's CPU time, four times no more.
 */
const INTERRUPT_BUDGET = 135_168;
/** Later ones (those of Node 24 and 26 at least) count calls instead, and complain about the flag. */
const LAST_TO_COUNT_BYTECODE = 11;

/** For the whole process, workers included. Before anything is hot. */
export function tuneV8(): void {
  // What ran once is not compiled twice, and stands in the code that is kept (code-cache.ts).
  setFlagsFromString('--no-flush-bytecode');
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE}`);
  if (Number.parseInt(process.versions.v8, 10) <= LAST_TO_COUNT_BYTECODE)
    setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
  setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
}
