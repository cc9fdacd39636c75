// Compares our CPU with Bochs and QEMU on every probe program; where those differ, the program cites who is right.

import { describe, expect, it } from 'vitest';
import type { EngineName } from '../../src/cpu/core.ts';
import { Random } from '../../src/cpu/testing/random.ts';
import { parseAnswers } from './answers.ts';
import { formName, formsOfPrograms, hardwareForms, withoutOracle } from './coverage.ts';
import { DIFFERENCES, differenceOf } from './differences.ts';
import { type Built, build, digest } from './image.ts';
import { ourMachine } from './ours.ts';
import { allPrograms } from './programs/index.ts';
import { decide, matches, readRecording, withoutResume } from './recording.ts';

const bochs = readRecording('bochs');
const qemu = readRecording('qemu');
const built = allPrograms.map((program) => build(program));
const topics = [...new Set(allPrograms.map(({ name }) => name.split('/', 1)[0] ?? ''))];

/** What the outside machines say, or why nothing can be compared. */
function verdict(b: Built): { answer: string } | { undecided: string } {
  const { program } = b;
  const [one, two] = [bochs.get(program.name), qemu.get(program.name)];
  if (!one || !two) return { undecided: 'not recorded: run tools/oracle/record.ts' };
  if (one.digest !== digest(b) || two.digest !== digest(b))
    return { undecided: 'changed since it was recorded: run tools/oracle/record.ts' };
  return decide(program.name, one.answer, two.answer);
}

function complaint(b: Built, ours: string): string[] {
  const decision = verdict(b);
  const { name, ref } = b.program;
  if ('undecided' in decision) return [`${name}: ${decision.undecided}\n  ours  ${ours}`];
  if (matches(decision.answer, ours)) return [];
  return [`${name} (${ref})\n  right ${decision.answer}\n  ours  ${ours}`];
}

/** Forms that have completed in the programs of the reference, which runs them all below. */
const completed = new Set<number>();

describe.each<EngineName>(['interpreter', 'reference'])(
  'the %s does what Bochs and QEMU do',
  (engine) => {
    const machine = ourMachine(engine, formsOfPrograms(completed));
    it.each(topics)('%s', (topic) => {
      const members = built.filter(({ program }) => program.name.startsWith(`${topic}/`));
      const wrong = members.flatMap((b) => complaint(b, machine.run(b)));
      expect(wrong.join('\n')).toBe('');
    });
  },
);

describe('the JIT, on code that it has translated, does what Bochs and QEMU do', () => {
  const machine = ourMachine('jit');
  it.each(topics)('%s', (topic) => {
    const members = built.filter(({ program }) => program.name.startsWith(`${topic}/`));
    const wrong = members.flatMap((b, n) => {
      const cold = complaint(b, machine.run(b));
      const hot = complaint(b, machine.again());
      const stopped = complaint(b, machine.again(new Random(n + 1)));
      return [
        ...cold,
        ...hot,
        ...stopped.map((line) => `stopped at random, seed ${n + 1}: ${line}`),
      ];
    });
    expect(wrong.join('\n')).toBe('');
  });

  it('has translated the programs', () => {
    expect(machine.statistics()['blocks translated']).toBeGreaterThan(2 * built.length);
  });
});

it('every form of the table has an outside oracle', () => {
  expect(completed.size).toBeGreaterThan(150);
  expect(withoutOracle(hardwareForms(), completed).map(formName)).toEqual([]);
});

it('the image as the peers run it gives the same answers as one program at a time', () => {
  const machine = ourMachine('interpreter');
  // Every seventh program, so that all topics are there; those that stop the machine are not for a chain.
  const list = built
    .map((b, index) => ({ index, built: b }))
    .filter(({ index }) => index % 7 === 0);
  const alone = new Map(list.map(({ index, built: b }) => [index, machine.run(b)]));
  const quiet = list.filter(({ index }) => alone.get(index)?.includes('/'));
  const { lines, finished } = parseAnswers(machine.runImage(quiet));
  expect(finished).toBe(true);
  expect(quiet.length).toBeGreaterThan(100);
  const other = quiet.filter(({ index }) => lines.get(index) !== alone.get(index));
  expect(other.map(({ built: b }) => b.program.name)).toEqual([]);
});

it('there are at least 150 programs, each with a name of its own and a reference', () => {
  const names = new Set(allPrograms.map(({ name }) => name));
  expect(names.size).toBe(allPrograms.length);
  expect(names.size).toBeGreaterThanOrEqual(150);
  expect(allPrograms.filter(({ ref }) => !/^(SDM|APM) \d/.test(ref))).toEqual([]);
});

it('recordings hold nothing but the programs', () => {
  const names = new Set(allPrograms.map(({ name }) => name));
  expect([...bochs.keys(), ...qemu.keys()].filter((name) => !names.has(name))).toEqual([]);
});

it('every difference is about some program', () => {
  const used = new Set(allPrograms.map(({ name }) => differenceOf(name)));
  expect(DIFFERENCES.filter((difference) => !used.has(difference))).toEqual([]);
});

it('a wrong answer and a stale recording are seen', () => {
  const program = { name: 'x', ref: 'SDM 1', mode: 'prot', code: 'ud2' } as const;
  expect(decide('x', 'a', 'a')).toEqual({ answer: 'a' });
  expect(decide('x', 'a', 'b')).toHaveProperty('undecided');
  expect(decide('exceptions/#AC', 'a', 'b')).toEqual({ answer: 'a' });
  expect(digest(build(program))).not.toBe(digest(build({ ...program, code: 'hlt' })));
  expect(withoutResume('#6/32 [20000 8 10002] sp=1')).toBe('#6/32 [20000 8 2] sp=1');
  expect(matches('#6/32 [20000 8 10002]', '#6/32 [20000 8 2]')).toBe(false);
  expect(matches('#8/32 [0 20000 8 10002]', '#8/32 [0 20000 8 2]')).toBe(true);
});
