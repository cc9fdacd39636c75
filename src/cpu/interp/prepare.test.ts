// The code that the build puts into a bundle: made from what the sources say now, and complete.

import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PREPARED_FILE, prepared } from '../../../vite.config.ts';
import { fromBase64 } from '../../base/base64.ts';
import { layoutFor, viewsOf } from '../state.ts';
import { DecodeTables, keyOfMode, type Learned } from './decode-tables.ts';
import { formNumber } from './handlers.ts';
import { hotHandlers, warmHandlers } from './hot.ts';
import { hotList, warmList } from './hot-list.ts';
import { learnExamples } from './learn-examples.ts';
import { decoderModule, inputsDigest } from './modules.ts';
import { prepareCode } from './prepare.ts';
import type { PreparedCode } from './prepared-code.ts';
import { ASKS, quickDecode } from './quick-decode.ts';

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

it('a decoder that has loaded what was learned needs to learn no more of the examples', () => {
  const learned = learnExamples();
  const layout = layoutFor(1 << 16);
  const memory = new WebAssembly.Memory({ initial: (layout.ramBase + (1 << 16)) >>> 16 });
  const { u8 } = viewsOf(memory);
  const tables = new DecodeTables(viewsOf(memory), layout);
  tables.load(learned, formNumber);
  const byNumber = new Map(learned.forms.map((key) => [formNumber(key), key]));
  expect(sorted(tables.save(byNumber, learned.forms))).toEqual(sorted(learned));
  const quick = quickDecode(decoderModule(), memory, tables.at);
  const ram = layout.ramBase;
  const lines = [...hotList, ...warmList];
  const asking = lines.filter((line) => {
    const [mode, hex = ''] = line.split(' ');
    u8.set(Buffer.from(hex, 'hex'), ram);
    const size = mode === '64' ? 64 : 32;
    return quick(ram + 4096, ram, ram, ram + 64, keyOfMode(size, false, false), 1, 0, 1) !== ASKS;
  });
  // Segment, control and debug registers, 64-bit absolute addresses.
  expect(asking.length / lines.length).toBeLessThan(0.03);
});

function sorted({ templates }: Learned): string[] {
  const hex = Buffer.from(templates).toString('hex');
  return (hex.match(/.{48}/g) ?? []).sort();
}
