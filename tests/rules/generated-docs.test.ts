// Rule: what docs have between gen marks is what `npm run docs` would write.

import { describe, expect, it } from 'vitest';
import { fill, generatedDocs, staleDocs } from '../../tools/make-docs.ts';
import { root } from './source-files.ts';

describe('generated parts of docs', () => {
  it('are fresh; if not, run: npm run docs', () => {
    expect(generatedDocs().size).toBeGreaterThan(2);
    expect(staleDocs(root).map(({ path }) => path)).toEqual([]);
  });
});

describe('filling a document', () => {
  const marked = 'a\n<!-- gen:x -->\nold\n<!-- /gen:x -->\nb\n';

  it('replaces what is between the marks and nothing else, and twice gives the same', () => {
    const filled = fill(marked, { x: () => 'new' }, 'doc');
    expect(filled).toBe('a\n<!-- gen:x -->\nnew\n<!-- /gen:x -->\nb\n');
    expect(fill(filled, { x: () => 'new' }, 'doc')).toBe(filled);
  });

  it('refuses a document without its marks', () => {
    expect(() => fill('text', { x: () => '' }, 'doc')).toThrow('doc lacks the marks');
  });
});
