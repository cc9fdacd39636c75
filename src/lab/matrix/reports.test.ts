// The matrix as KTAP and JUnit, read by parsers that are not ours: tap-parser and junit2json.

import { parse as parseJunit } from 'junit2json';
import { Parser } from 'tap-parser';
import { describe, expect, it } from 'vitest';
import { cell, MIXED } from '../testing/cells.ts';
import type { Cell } from './cell.ts';
import { junitOf } from './junit.ts';
import { ktapOf } from './ktap.ts';
import { judge } from './outcome.ts';

const judged = (cells: readonly Cell[], require = false) =>
  judge(cells, { require, baseline: null });

interface Assert {
  readonly ok: boolean;
  readonly id: number;
  readonly name: string;
  readonly skip?: boolean | string;
}

describe('KTAP', () => {
  it('begins as KTAP 1 with a plan, and is ASCII lines that end', () => {
    const lines = ktapOf(judged(MIXED)).split('\n');
    expect(lines.slice(0, 2)).toEqual(['KTAP version 1', '1..6']);
    expect(lines.at(-1)).toBe('');
  });

  it('is accepted by tap-parser, with every cell as it is judged', () => {
    const parsed = Parser.parse(ktapOf(judged(MIXED)));
    const asserts = parsed
      .filter((event) => event[0] === 'assert')
      .map((event) => event[1] as Assert);
    expect(asserts.map(({ ok }) => ok)).toEqual([true, true, false, false, false, true]);
    expect(asserts.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(asserts.map(({ skip }) => Boolean(skip))).toEqual([
      ...[false, true, false, false, false, true],
    ]);
    expect(asserts[1]?.skip).toContain('blind: it came up without noticing kvm');
    expect(asserts[2]?.name).toBe('./a "b" <c> & #d on native');
    const complete = parsed.find((event) => event[0] === 'complete')?.[1] as {
      count: number;
      fail: number;
      skip: number;
      bailout: unknown;
      failures: { tapError?: unknown }[];
    };
    expect(complete).toMatchObject({ count: 6, fail: 3, skip: 2, bailout: false });
    expect(complete.failures.filter(({ tapError }) => tapError)).toEqual([]);
  });

  it('marks what ran out of time, and quotes the console of failures', () => {
    const text = ktapOf(judged(MIXED));
    expect(text).toContain('not ok 4 ./a "b" <c> & \\#d on kvm@6.1 # TIMEOUT');
    expect(text).toContain('# ok 7 is not a result');
  });
});

describe('JUnit', () => {
  it('is accepted by junit2json, with a suite for each kernel and what went wrong', async () => {
    const parsed = await parseJunit(junitOf(judged(MIXED)));
    if (!parsed || !('testsuite' in parsed) || !parsed.testsuite) throw new Error('no suites');
    expect(parsed).toMatchObject({ name: 'pvops matrix', tests: 6, failures: 2, errors: 1 });
    expect(parsed.testsuite.map(({ name }) => name)).toEqual([
      'debian:12',
      './a "b" <c> & #d',
      'third',
    ]);
    const [first, second, third] = parsed.testsuite;
    expect(first?.testcase?.[0]).toMatchObject({
      classname: 'debian:12',
      name: 'native',
      time: 2.25,
    });
    expect(first?.testcase?.[1]?.skipped?.[0]?.message).toContain('blind');
    expect(second?.testcase?.[0]?.failure?.[0]).toMatchObject({
      type: 'panic',
      message: 'panic: the kernel panicked: "VFS" & <root>',
      inner: 'RAX=0\nRIP=1',
    });
    expect(third?.testcase?.[0]?.error?.[0]?.message).toContain('the worker died');
  });

  it('holds nothing that XML forbids', () => {
    const text = junitOf(judged(MIXED));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f]/);
    expect(text).not.toContain('\ud800');
    expect(text).toContain(']]&gt;');
  });

  it('counts skips as failures when they are required', () => {
    const text = junitOf(judged([cell({ verdict: 'absent' })], true));
    expect(text).toContain('tests="1" failures="1" errors="0" skipped="0"');
  });
});
