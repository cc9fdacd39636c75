// The Xen programs on our Xen against the answers of the real one.

import { describe, expect, it } from 'vitest';
import { ourAnswers } from './ours.ts';
import { readExplained, readRecording, SUITES } from './suites.ts';

describe.each(SUITES.map((suite) => [suite.title, suite] as const))('%s', (_title, suite) => {
  const { programs } = suite;
  const explained = readExplained(suite);
  const recorded = readRecording(suite);

  it('each program has a name of its own and an answer that is recorded for just what it is', () => {
    expect(new Set(programs.map(({ name }) => name)).size).toBe(programs.length);
    const stale = programs.filter((p) => recorded.get(p.name)?.digest !== p.digest);
    expect(stale.map(({ name }) => name)).toEqual([]);
  });

  it('our answers are those, but for those that are explained', async () => {
    const ours = await ourAnswers(suite);
    const differ = programs.flatMap(({ name }, n) =>
      ours[n] === recorded.get(name)?.answer ? [] : [name],
    );
    // A program that agrees is taken off the list.
    expect(differ.toSorted()).toEqual([...explained.keys()].toSorted());
  }, 120_000);
});
