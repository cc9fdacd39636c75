// Rule: the generated index.gen.ts of every one-file-per-thing folder is fresh.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { indexText, readIndexFolders, staleIndexes, writeIndexes } from '../../tools/make-index.ts';
import { exists, root } from './source-files.ts';

describe('the indexes of the tree', () => {
  it('belong to folders that exist', () => {
    for (const { folder } of readIndexFolders(root)) expect(exists(folder), folder).toBe(true);
  });

  it('are what `npm run index` would write', () => {
    expect(staleIndexes(root, readIndexFolders(root))).toEqual([]);
  });
});

describe('a folder of one file per thing', () => {
  let tree = '';
  const put = (name: string, text: string) => writeFileSync(join(tree, name), text);
  const things = { folder: '.', style: 'things' } as const;
  const folders = [things];

  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), 'pvops-index-'));
    put('set-trap-table.ts', 'export const setTrapTable = 1;\n');
    put('iret.ts', 'export function iret() {}\n');
    put('iret.test.ts', '');
    put('define.ts', 'export const x = 1;\n');
  });
  afterEach(() => rmSync(tree, { recursive: true }));

  it('is listed sorted, one line per file, by the export named after the file', () => {
    expect(indexText(tree, things).split('\n').slice(2)).toEqual([
      "export { iret } from './iret.ts';",
      "export { setTrapTable } from './set-trap-table.ts';",
      '',
    ]);
  });

  it('is listed as namespaces when its files hold families', () => {
    expect(indexText(tree, { folder: '.', style: 'families' })).toContain(
      "export * as setTrapTable from './set-trap-table.ts';",
    );
  });

  it('is stale without an index, fresh after writing, and stale again after a new file', () => {
    expect(staleIndexes(tree, folders)).toEqual(['./index.gen.ts']);
    expect(writeIndexes(tree, folders)).toEqual(['./index.gen.ts']);
    expect(staleIndexes(tree, folders)).toEqual([]);
    expect(writeIndexes(tree, folders)).toEqual([]);
    put('clts.ts', 'export const clts = 1;\n');
    expect(staleIndexes(tree, folders)).toEqual(['./index.gen.ts']);
  });

  it('is refused when a file does not export the thing it is named after', () => {
    put('mmu-update.ts', 'export const other = 1;\n');
    expect(() => indexText(tree, things)).toThrow("mmu-update.ts does not export 'mmuUpdate'");
  });
});
