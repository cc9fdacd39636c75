// Modules that have places of a layout as constants: from the build for the usual layout, else generated when first wanted.

import { fromBase64 } from '../../base/base64.ts';
import { usableCode } from './modules.ts';

export interface PlacedCode {
  /** All that the code depends on. */
  readonly key: string;
  generate(): Uint8Array;
}

const compiled = new Map<string, WebAssembly.Module>();
const MOST_COMPILED = 16;

export function moduleOf({ key, generate }: PlacedCode): WebAssembly.Module {
  let module = compiled.get(key);
  if (!module) {
    if (compiled.size >= MOST_COMPILED) compiled.clear();
    const built = usableCode()?.placed[key];
    module = new WebAssembly.Module(built ? fromBase64(built) : generate());
    compiled.set(key, module);
  }
  return module;
}
