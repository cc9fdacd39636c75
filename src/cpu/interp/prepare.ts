// Generates at build time what tier 0 would generate at its start: the hot function, the warm handlers, helpers, what the decoder knows.

import { THRESHOLD } from '../jit/tier.ts';
import { x87Module } from '../lower/x87-module.ts';
import { slowPaths } from '../slow/registry.ts';
import { layoutFor } from '../state.ts';
import { MAX_BLOCK } from './blocks.ts';
import { TABLE_SIZE } from './counters.ts';
import { slowNumber } from './engine.ts';
import type { HandlerList } from './handlers.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { learnExamples } from './learn-examples.ts';
import { coldModule, hotModule, type ModuleContext } from './module.ts';
import { inputsDigest } from './modules.ts';
import type { PlacedCode } from './placed-code.ts';
import type { PreparedCode, PreparedHandlers } from './prepared-code.ts';
import { callsCode } from './quick-calls.ts';
import { decodeModule } from './quick-decode.ts';
import { findCode } from './quick-find.ts';
import { walksCode } from './quick-walk.ts';

/** `--memory` unless told otherwise. */
const USUAL_RAM = 512 << 20;

/** `encode`: bytes to base64. */
export function prepareCode(encode: (bytes: Uint8Array) => string): PreparedCode {
  const context: ModuleContext = {
    memoryPages: 1,
    tableSize: TABLE_SIZE,
    threshold: THRESHOLD,
    counters: 0,
    slowId: slowNumber,
  };
  const of = ({ names }: HandlerList, wasm: Uint8Array): PreparedHandlers => ({
    names,
    wasm: encode(wasm),
  });
  const learned = learnExamples();
  return {
    inputs: inputsDigest(),
    hot: of(hotHandlers(), hotModule(hotHandlers().specs, context)),
    warm: of(warmHandlers(), coldModule(warmHandlers().specs, context)),
    x87: encode(x87Module()),
    decode: encode(decodeModule()),
    classes: encode(learned.classes),
    templates: encode(learned.templates),
    placed: Object.fromEntries(placed().map((code) => [code.key, encode(code.generate())])),
  };
}

/** For the JIT with the usual RAM. */
function placed(): readonly PlacedCode[] {
  const layout = layoutFor(USUAL_RAM);
  const names = [...slowPaths.values()].map((p) => p.name);
  return [
    callsCode(layout, names),
    walksCode(layout),
    findCode({ layout, heads: true, maxBlock: MAX_BLOCK }),
  ];
}
