// The Xen programs on our xen-pv against the answers of the real Xen, and whether every refusal has been asked about.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { digest, kernelFile } from './image.ts';
import { ourAnswers } from './ours.ts';
import { allPrograms } from './programs/index.ts';
import { readRecording } from './recording.ts';

/** Programs to which our answer is another, each still to be explained or mended. */
const OPEN = new Set(
  readFileSync(new URL('recorded/open.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter(Boolean),
);
const recorded = readRecording();

it('each program has a name of its own and an answer of the real Xen to just what it is', () => {
  expect(new Set(allPrograms.map(({ name }) => name)).size).toBe(allPrograms.length);
  const stale = allPrograms.filter((p) => recorded.get(p.name)?.digest !== digest(p));
  expect(stale.map(({ name }) => name)).toEqual([]);
});

it('our answers are the real ones, but for those that are known to differ', async () => {
  const ours = await ourAnswers(kernelFile(allPrograms), allPrograms.length);
  const differ = allPrograms.flatMap(({ name }, n) =>
    ours[n] === recorded.get(name)?.answer ? [] : [name],
  );
  // A program that agrees is taken off the list.
  expect(differ.toSorted()).toEqual([...OPEN].toSorted());
}, 120_000);
