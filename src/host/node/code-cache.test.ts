// A program is evaluated with the code that an earlier run has kept, if it is this program's and whole.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { evaluateCached } from './code-cache.ts';

let folder: string;
let program: string;
let cache: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-code-'));
  program = join(folder, 'program.cjs');
  cache = join(folder, 'cache');
  writeFileSync(program, '(() => { const f = (x) => x + 1; return f(41); })');
});
afterEach(() => rmSync(folder, { recursive: true }));

const evaluate = () => {
  const { value, cached, keep } = evaluateCached(cache, program, 'run');
  return { answer: (value as () => number)(), cached, keep };
};
const files = () => readdirSync(cache);

it('gives the same value with and without kept code, and says which it was', () => {
  const first = evaluate();
  expect(first).toMatchObject({ answer: 42, cached: false });
  first.keep(1);
  expect(evaluate()).toMatchObject({ answer: 42, cached: true });
});

it('has nothing to do with the code of another program of the same length', () => {
  evaluate().keep(1);
  writeFileSync(program, '(() => { const f = (x) => x + 2; return f(41); })');
  expect(evaluate()).toMatchObject({ answer: 43, cached: false });
});

it('does without code that was damaged, and replaces it', () => {
  evaluate().keep(1);
  const [name] = files();
  const path = join(cache, name!);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
  const damaged = evaluate();
  expect(damaged).toMatchObject({ answer: 42, cached: false });
  damaged.keep(1);
  expect(evaluate().cached).toBe(true);
});

it('replaces the code of a run by that of a much longer one only', () => {
  evaluate().keep(1);
  const path = join(cache, files()[0]!);
  const short = readFileSync(path);
  evaluate().keep(3);
  expect(readFileSync(path)).toEqual(short);
  evaluate().keep(5);
  expect(readFileSync(path)).not.toEqual(short);
});

it('keeps the code of sixteen programs at most', () => {
  for (let n = 0; n < 18; n++) {
    writeFileSync(program, `(() => ${n})`);
    evaluate().keep(1);
  }
  expect(files()).toHaveLength(16);
});

it('runs where no cache can be written', () => {
  writeFileSync(cache, 'a file where the folder would be');
  const run = evaluate();
  run.keep(1);
  expect(run).toMatchObject({ answer: 42, cached: false });
});
