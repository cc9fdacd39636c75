// Rule: line 1 of every source file says in one sentence what the file is.

import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readSources, readText, root, type Sources } from './source-files.ts';

const withoutPurpose = (sources: Sources): string[] =>
  [...sources]
    .filter(([, text]) => !/^\/\/ \S.*[^\s.][.!?]$/.test(text.split('\n', 1)[0] ?? ''))
    .map(([path]) => path);

const configs = readdirSync(root).filter((name) => name.endsWith('.config.ts'));
const sources = new Map([
  ...readSources(['src', 'tests', 'tools', 'bench'], ['.ts', '.mjs']),
  ...configs.map((name) => [name, readText(name)] as const),
]);

it('every source file begins with its purpose', () => {
  expect(sources.size).toBeGreaterThan(10);
  expect(withoutPurpose(sources)).toEqual([]);
});

it.each([
  "import { a } from './a.ts';\n",
  '\n// After a blank line.\n',
  '//Without a space.\n',
  '// Without a full stop\n',
  '/** As a block. */\n',
  '',
])('a file that begins with %j is caught', (text) => {
  expect(withoutPurpose(new Map([['src/a.ts', text]]))).toEqual(['src/a.ts']);
});
