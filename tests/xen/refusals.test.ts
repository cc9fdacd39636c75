// Whether each call that our Xen refuses, and each of its operations, has a program that the real one was asked by.

import { describe, expect, it } from 'vitest';
import { askedRows } from './asked.ts';
import { SUITES } from './suites.ts';

/** Those that have an interface's calls for their subject. */
const ASKED = SUITES.filter(({ title, on }) => title === on);

describe.each(ASKED.map((suite) => [suite.title, suite] as const))('%s', (_title, suite) => {
  it('each refusal in the table of calls has a program', () => {
    const refusals = askedRows(suite).filter(({ refused }) => refused !== 0);
    expect(refusals.length).toBeGreaterThan(0);
    const missing = refusals.filter(({ programs }) => programs.length === 0);
    expect(missing.map(({ call, sub }) => `${call} ${sub}`.trim())).toEqual([]);
  });
});
