// Compares the reference evaluator with what a real CPU did for some 43000 user-mode integer cases.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CASES_PER_GROUP, type Group, hardwareCase } from './hardware-cases.ts';
import { hardwareGroups } from './hardware-groups.ts';
import { condense, createHardwareRunner } from './hardware-run.ts';

/** Recorded by tools/vectors/record.ts on an AMD EPYC (Zen 5): 16 bits for each case of a group, then the group's name. */
const recording = readFileSync(new URL('fixtures/integer-vectors.txt', import.meta.url), 'utf8');
const lines = new Map(
  recording
    .trimEnd()
    .split('\n')
    .map((line): [string, Buffer] => {
      const space = line.indexOf(' ');
      return [line.slice(space + 1), Buffer.from(line.slice(0, space), 'base64')];
    }),
);
const runner = createHardwareRunner();
const groups = hardwareGroups();

function wrongCases(group: Group): string[] {
  const recorded = lines.get(group.name);
  if (recorded?.length !== CASES_PER_GROUP * 2) return [`${group.name}: not recorded`];
  const wrong: string[] = [];
  for (let n = 0; n < CASES_PER_GROUP; n++) {
    const c = hardwareCase(group, n);
    if (condense(group, c, runner.run(c)) === recorded.readUInt16LE(n * 2)) continue;
    wrong.push(`${group.name} #${n} [${c.code.map((byte) => byte.toString(16)).join(' ')}]`);
  }
  return wrong;
}

describe('integer instructions on the reference evaluator do what a real CPU did', () => {
  const names = [...new Set(groups.map((group) => group.insn.name))];
  it.each(names)('%s', (name) => {
    const members = groups.filter((group) => group.insn.name === name);
    expect(members.flatMap(wrongCases)).toEqual([]);
  });

  it('the recording has no groups that are not checked', () => {
    const names = new Set(groups.map((group) => group.name));
    expect([...lines.keys()].filter((name) => !names.has(name))).toEqual([]);
    expect(names.size).toBeGreaterThan(900);
  });

  it('a changed result changes its condensed form', () => {
    const group = groups[0] as Group;
    const c = hardwareCase(group, 0);
    const result = runner.run(c);
    const other = { ...result, flags: result.flags ^ 1 };
    expect(condense(group, c, other)).not.toBe(condense(group, c, result));
  });
});
