// The decoder against iced-x86: lengths, mnemonics and operands of every form, and of random bytes.

import { Code, Decoder, DecoderOptions } from 'iced-x86';
import { expect, test } from 'vitest';
import { decode } from '../../src/cpu/decode.ts';
import { forms } from '../../src/cpu/table.ts';
import { differenceFromIced } from './against-iced.ts';
import { Random, randomEncoding } from './random-encoding.ts';

const MODES = [64, 32, 16] as const;
const FUZZ_COUNT = 60_000;

const hex = (bytes: Uint8Array, length: number): string =>
  Buffer.from(bytes.subarray(0, length)).toString('hex');

test('iced agrees on length, mnemonic and operands of random encodings of every form', () => {
  const differences: string[] = [];
  let compared = 0;
  for (const f of forms)
    for (const mode of MODES) {
      const random = new Random(f.id * 77 + mode);
      for (let n = 0; n < 12; n++) {
        const bytes = randomEncoding(f, mode, random);
        const d = decode(bytes, 0, bytes.length, mode);
        if ('failure' in d || d.formId !== f.id) continue;
        compared++;
        const difference = differenceFromIced(bytes, d, mode);
        if (difference)
          differences.push(`${mode}: ${hex(bytes, d.length)} (${f.form.op}): ${difference}`);
      }
    }
  expect(compared).toBeGreaterThan(forms.length * 10);
  expect(differences.slice(0, 20)).toEqual([]);
});

test('what both decode of random bytes is the same instruction', () => {
  const random = new Random(4711);
  const differences: string[] = [];
  const missing = new Map<string, number>();
  for (let n = 0; n < FUZZ_COUNT; n++) {
    const mode = MODES[n % 3] as 16 | 32 | 64;
    const bytes = randomBytes(random);
    const d = decode(bytes, 0, bytes.length, mode);
    const known = icedCode(bytes, mode);
    if ('failure' in d) {
      if (known !== null) missing.set(known, (missing.get(known) ?? 0) + 1);
      continue;
    }
    const difference = known === null ? null : differenceFromIced(bytes, d, mode);
    if (difference) differences.push(`${mode}: ${hex(bytes, d.length)}: ${difference}`);
  }
  // What iced knows and the table lacks is no failure: set PVOPS_LIST_MISSING=1 to see it.
  if (process.env.PVOPS_LIST_MISSING)
    process.stdout.write(
      `${[...missing]
        .sort((a, b) => b[1] - a[1])
        .map(String)
        .join('\n')}\n`,
    );
  expect(differences.slice(0, 20)).toEqual([]);
});

test('an instruction cut short is truncated, wherever the cut is', () => {
  const random = new Random(99);
  for (let n = 0; n < 3000; n++) {
    const bytes = randomBytes(random);
    const mode = MODES[n % 3] as 16 | 32 | 64;
    const d = decode(bytes, 0, bytes.length, mode);
    if ('failure' in d) continue;
    for (let end = 0; end < d.length; end++)
      expect(decode(bytes, 0, end, mode), hex(bytes, d.length)).toEqual({ failure: 'truncated' });
  }
});

/** Half of them begin with an escape byte or a mandatory prefix. */
function randomBytes(random: Random): Uint8Array {
  const bytes = Uint8Array.from({ length: 20 }, () => random.below(256));
  const kind = random.below(8);
  if (kind === 0) bytes[0] = 0x0f;
  if (kind === 1) bytes.set([[0x66, 0xf2, 0xf3][random.below(3)] as number, 0x0f]);
  if (kind === 2) bytes.set([0x0f, [0x38, 0x3a][random.below(2)] as number]);
  if (kind === 3) bytes[0] = 0xd8 + random.below(8);
  return bytes;
}

/** iced's name of the encoding; null: it has none, or one of the vector extensions that no CPU of ours offers. */
function icedCode(bytes: Uint8Array, mode: 16 | 32 | 64): string | null {
  const decoder = new Decoder(mode, bytes, DecoderOptions.None);
  const insn = decoder.decode();
  const name = insn.code === Code.INVALID ? null : (Code[insn.code] ?? null);
  insn.free();
  decoder.free();
  return name === null || /^(VEX|EVEX|XOP|MVEX|D3NOW)/.test(name) ? null : name;
}
