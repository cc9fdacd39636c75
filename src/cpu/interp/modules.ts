// Tier 0's modules, compiled once for all vCPUs of the process: from what the build prepared, or generated when first wanted.

import { fromBase64 } from '../../base/base64.ts';
import { THRESHOLD } from '../jit/tier.ts';
import { x87Module } from '../lower/x87-module.ts';
import { slowPaths } from '../slow/registry.ts';
import { FIELDS } from '../state.ts';
import type { Learned } from './decode-tables.ts';
import { formsOf, type HandlerList } from './handlers.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { coldModule, hotModule, type ModuleContext } from './module.ts';
import { type PreparedCode, type PreparedHandlers, preparedCode } from './prepared-code.ts';
import { decodeModule } from './quick-decode.ts';

/** A module and the names of its handlers, in the order of their cases (hot) or exports `f0`, `f1` ... (warm). */
export interface CompiledHandlers {
  readonly names: readonly string[];
  /** A line of hot-list.ts each, where the handlers were generated here. */
  readonly examples: readonly string[];
  readonly module: WebAssembly.Module;
}

const hot = new Map<string, CompiledHandlers>();
const MOST_COMPILED = 4;
let warm: CompiledHandlers | null = null;
let x87: WebAssembly.Module | null = null;
let decoder: WebAssembly.Module | null = null;
let learned: Learned | null = null;
let prepared: PreparedCode | null | undefined;

/** The hot function's module. What the build prepared counts nothing and has the usual threshold. */
export function compiledHot(context: ModuleContext): CompiledHandlers {
  const key = `${context.threshold}/${context.counters}`;
  let made = hot.get(key);
  if (!made) {
    if (hot.size >= MOST_COMPILED) hot.clear();
    const usual = context.threshold === THRESHOLD && context.counters === 0;
    made =
      fromBuild(usual ? usableCode()?.hot : undefined) ??
      generated(hotHandlers(), (list) => hotModule(list.specs, context));
    hot.set(key, made);
  }
  return made;
}

export function compiledWarm(context: ModuleContext): CompiledHandlers {
  warm ??=
    fromBuild(usableCode()?.warm) ??
    generated(warmHandlers(), (list) => coldModule(list.specs, context));
  return warm;
}

/** The x87 helper, over one memory. */
export function x87Function(memory: WebAssembly.Memory): unknown {
  const code = x87 ? null : usableCode()?.x87;
  x87 ??= new WebAssembly.Module(code ? fromBase64(code) : x87Module());
  return new WebAssembly.Instance(x87, { e: { memory } }).exports.x87;
}

export function decoderModule(): WebAssembly.Module {
  const code = decoder ? null : usableCode()?.decode;
  decoder ??= new WebAssembly.Module(code ? fromBase64(code) : decodeModule());
  return decoder;
}

/** What the build has taught the decoder; null where it was not built. */
export function learnedByBuild(): Learned | null {
  const code = usableCode();
  if (!code) return null;
  learned ??= {
    classes: fromBase64(code.classes),
    templates: fromBase64(code.templates),
    forms: formsOf([...code.hot.names, ...code.warm.names]),
  };
  return learned;
}

/** What the build's code depends on and a bundle can tell at once: numbers of slow paths, places in the state. */
export function inputsDigest(): string {
  const text = JSON.stringify([[...slowPaths.keys()], FIELDS]);
  let [a, b] = [0x811c9dc5, 0x1000193];
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b + text.charCodeAt(i), 0x85ebca6b);
  }
  return `${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`;
}

/** What the build prepared, if it was from these sources. */
export function usableCode(): PreparedCode | null {
  prepared ??= preparedCode?.inputs === inputsDigest() ? preparedCode : null;
  return prepared;
}

function fromBuild(code: PreparedHandlers | undefined): CompiledHandlers | null {
  if (!code) return null;
  return {
    names: code.names,
    examples: [],
    module: new WebAssembly.Module(fromBase64(code.wasm)),
  };
}

function generated(
  list: HandlerList,
  generate: (list: HandlerList) => Uint8Array,
): CompiledHandlers {
  const { names, examples } = list;
  return { names, examples, module: new WebAssembly.Module(generate(list)) };
}
