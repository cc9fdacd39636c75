// Generates at build time what tier 0 would generate at its start: the hot function, the warm handlers, the x87 helper.

import { THRESHOLD } from '../jit/tier.ts';
import { x87Module } from '../lower/x87-module.ts';
import { slowNumber } from './engine.ts';
import type { HandlerList } from './handlers.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { learnExamples } from './learn-examples.ts';
import { coldModule, hotModule, type ModuleContext, TABLE_SIZE } from './module.ts';
import { inputsDigest } from './modules.ts';
import type { PreparedCode, PreparedHandlers } from './prepared-code.ts';
import { decodeModule } from './quick-decode.ts';

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
  };
}
