// Rule: files stay short, comments that promise work name an issue, and leftovers do not pass.

import { describe, expect, it } from 'vitest';
import { readList, readSources, type Sources } from './source-files.ts';
import { tokenize } from './source-tokens.ts';

const MAX_LINES = 600;
const LONG_FILES = 'tools/long-files.txt';

const lineCount = (text: string): number => text.replace(/\n$/, '').split('\n').length;

const tooLong = (sources: Sources, listed: ReadonlyMap<string, string>): string[] =>
  [...sources]
    .filter(([path, text]) => lineCount(text) > MAX_LINES && !listed.has(path))
    .map(([path, text]) => `${path}: ${lineCount(text)} lines`);

/** Lines are `path: reason`. */
const parseList = (lines: readonly string[]): Map<string, string> =>
  new Map(
    lines.map((line) => {
      const [, path = line, reason = ''] = /^([^\s:]+):\s*(.*)$/.exec(line) ?? [];
      return [path, reason];
    }),
  );

const leftovers = (sources: Sources): string[] =>
  [...sources].flatMap(([path, text]) =>
    tokenize(text)
      .filter(({ kind }) => kind === 'comment')
      .filter((comment) => isLeftover(comment.text))
      .map(({ line, text: comment }) => `${path}:${line}: ${comment.split('\n', 1)[0]}`),
  );

const isLeftover = (comment: string): boolean =>
  /\b(FIXME|XXX|HACK)\b/.test(comment) || /\bTODO\b(?!\(#\d+\): \S)/.test(comment);

const sources = readSources(['src', 'tests', 'tools', 'bench'], ['.ts', '.mjs']);
const listed = parseList(readList(LONG_FILES));

describe('the length of a file', () => {
  it(`is at most ${MAX_LINES} lines, unless ${LONG_FILES} lists it`, () => {
    expect(sources.size).toBeGreaterThan(10);
    expect(tooLong(sources, listed)).toEqual([]);
  });

  it(`is excused in ${LONG_FILES} with a reason, and only while the file is that long`, () => {
    for (const [path, reason] of listed) {
      expect(reason.length, `the reason for ${path}`).toBeGreaterThan(10);
      expect(lineCount(sources.get(path) ?? ''), path).toBeGreaterThan(MAX_LINES);
    }
  });

  it('is caught at one line too many', () => {
    const planted = new Map([
      ['src/a.ts', 'x\n'.repeat(MAX_LINES)],
      ['src/b.ts', 'x\n'.repeat(MAX_LINES + 1)],
    ]);
    expect(tooLong(planted, new Map())).toEqual(['src/b.ts: 601 lines']);
    expect(tooLong(planted, parseList(['src/b.ts: one table']))).toEqual([]);
  });
});

describe('comments', () => {
  it('leave no unfinished business without an issue', () => {
    expect(leftovers(sources)).toEqual([]);
  });

  it('are caught when they do, and strings are not comments', () => {
    const planted = ['FIXME later', 'XXX', 'a HACK', 'TODO later', 'TODO(me): x', 'TODO(#1)'];
    for (const text of planted) {
      expect(leftovers(new Map([['src/a.ts', `f(); // ${text}`]]))).toHaveLength(1);
      expect(leftovers(new Map([['src/a.ts', `f('${text}');`]]))).toEqual([]);
    }
    expect(leftovers(new Map([['src/a.ts', '// TODO(#12): probe it.']]))).toEqual([]);
  });
});
