import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { floatCase, floatGroups } from './float-cases.ts';
import { comparable, condense, createFloatRunner } from './float-run.ts';

/** `npx tsx tools/vectors/record-float.ts --write` makes it; recorded on an AMD EPYC (Zen 4). */
const recording = readFileSync(new URL('fixtures/float-vectors.txt', import.meta.url), 'utf8');
const lines = new Map(
  recording
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);
const groups = floatGroups();
const run = createFloatRunner();

describe('x87, MMX and SSE instructions on a real CPU', () => {
  test('the recording has every form of the table', () => {
    expect(groups.map((g) => g.name).filter((name) => !lines.has(name))).toEqual([]);
    expect(groups.length).toBeGreaterThan(700);
  });
  test('the reference leaves the same registers, memory, flags and exceptions behind', () => {
    const wrong: string[] = [];
    for (const group of groups) {
      const recorded = lines.get(group.name) ?? '';
      for (let n = 0; n * 4 < recorded.length; n++) {
        const ours = condense(comparable(group, run(floatCase(group, n))));
        if (Number.parseInt(recorded.slice(n * 4, n * 4 + 4), 16) !== ours)
          wrong.push(`${group.name} #${n}`);
      }
    }
    expect(wrong).toEqual([]);
  }, 60_000);
});
