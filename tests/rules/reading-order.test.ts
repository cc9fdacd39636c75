// Rule: docs/reading-order.md names files that exist, and passes through every folder of src.

import { expect, it } from 'vitest';
import { exists, foldersIn, readText } from './source-files.ts';

/** Entries are numbered lines: `1. [path](../path): one line`. */
const entriesOf = (text: string): { shown: string; target: string }[] =>
  [...text.matchAll(/^\d+\. \[([^\]]+)\]\(\.\.\/([^)]+)\): \S/gm)].map(
    ([, shown = '', target = '']) => ({ shown, target }),
  );

const text = readText('docs/reading-order.md');
const entries = entriesOf(text);

it('every numbered line of the reading order is an entry', () => {
  expect(entries.length).toBeGreaterThan(5);
  expect(text.match(/^\d+\./gm)).toHaveLength(entries.length);
});

it('every entry shows the path it links to, once, and the file exists', () => {
  for (const { shown, target } of entries) expect(shown).toBe(target);
  expect(entries.map((entry) => entry.target).filter((path) => !exists(path))).toEqual([]);
  expect(new Set(entries.map((entry) => entry.target)).size).toBe(entries.length);
});

it('every first-level folder of src is on the way', () => {
  const missing = foldersIn('src').filter(
    (folder) => !entries.some(({ target }) => target.startsWith(`src/${folder}/`)),
  );
  expect(missing).toEqual([]);
});
