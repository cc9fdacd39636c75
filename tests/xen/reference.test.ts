// The Xen programs on our xen-pv against the answers of the real Xen, and whether every refusal has been asked about.

import { expect, it } from 'vitest';
import { digest, kernelFile } from './image.ts';
import { ourAnswers } from './ours.ts';
import { allPrograms } from './programs/index.ts';
import { readExplained, readRecording } from './recording.ts';

const explained = readExplained();
const recorded = readRecording();

it('each program has a name of its own and an answer of the real Xen to just what it is', () => {
  expect(new Set(allPrograms.map(({ name }) => name)).size).toBe(allPrograms.length);
  const stale = allPrograms.filter((p) => recorded.get(p.name)?.digest !== digest(p));
  expect(stale.map(({ name }) => name)).toEqual([]);
});

it('our answers are the real ones, but for those that are explained', async () => {
  const ours = await ourAnswers(kernelFile(allPrograms), allPrograms.length);
  const differ = allPrograms.flatMap(({ name }, n) =>
    ours[n] === recorded.get(name)?.answer ? [] : [name],
  );
  // A program that agrees is taken off the list.
  expect(differ.toSorted()).toEqual([...explained.keys()].toSorted());
}, 120_000);
