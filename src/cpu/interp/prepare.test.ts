// The code that the build puts into a bundle: made from what the sources say now, and complete.

import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PREPARED_FILE, prepared } from '../../../vite.config.ts';
import { fromBase64 } from '../../base/base64.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { inputsDigest } from './modules.ts';
import { prepareCode } from './prepare.ts';
import type { PreparedCode } from './prepared-code.ts';

const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

it('the build replaces the file that holds no code otherwise, with code for these sources', () => {
  const root = new URL('../../..', import.meta.url).pathname;
  const path = `${root}${PREPARED_FILE.slice(1)}`;
  expect(existsSync(path)).toBe(true);
  const text = prepared.load(path);
  const code = JSON.parse(/preparedCode = (.*);$/.exec(text ?? '')?.[1] ?? '') as PreparedCode;
  expect(code.inputs).toBe(inputsDigest());
  expect(code).toEqual(prepareCode(encode));
  expect(prepared.load(`${path}x`)).toBeNull();
});

it('prepared handlers are those of the lists, in their order, one export each', () => {
  const { hot, warm, x87 } = prepareCode(encode);
  const exportsOf = (wasm: string) =>
    WebAssembly.Module.exports(new WebAssembly.Module(fromBase64(wasm))).map((e) => e.name);
  expect(hot.names).toEqual(hotHandlers().names);
  expect(exportsOf(hot.wasm)).toEqual(['flags', 'run']);
  expect(warm.names).toEqual(warmHandlers().names);
  expect(exportsOf(warm.wasm)).toEqual(warm.names.map((_, i) => `f${i}`));
  expect(exportsOf(x87)).toEqual(['x87']);
});
