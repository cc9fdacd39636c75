// What cells mean together, with and without a baseline.

import { describe, expect, it } from 'vitest';
import { cell, MIXED } from '../testing/cells.ts';
import type { Cell } from './cell.ts';
import { jsonOf, matrixOf, readMatrix } from './json.ts';
import { isBad, judge, matrixStatus, summaryOf } from './outcome.ts';

const up = cell();
const blind = cell({ verdict: 'blind' });
const panic = cell({ verdict: 'panic' });
const late = cell({ verdict: 'hung', timedOut: true });

const judged = (now: readonly Cell[], before: readonly Cell[] | null = null, require = false) =>
  judge(now, { require, baseline: before && matrixOf(before) });
const status = (...parts: Parameters<typeof judged>) => matrixStatus(judged(...parts));

describe('a matrix', () => {
  it('is as expected when all cells are up or skipped', () => {
    expect(status([up, { ...blind, interface: 'kvm@6.1' }])).toBe(0);
  });

  it('fails on skips when they are required', () => {
    expect(status([blind], null, true)).toBe(1);
  });

  it('says 42 only when nothing failed but what ran out of time', () => {
    expect(status([up, { ...late, interface: 'kvm' }])).toBe(42);
    expect(status([panic, { ...late, interface: 'kvm' }])).toBe(1);
  });

  it('is summed up in numbers', () => {
    expect(summaryOf(judged(MIXED))).toBe('1 passed, 2 skipped, 3 failed');
  });
});

describe('against a baseline', () => {
  it('a known failure does not fail the run, whatever its word', () => {
    expect(status([panic], [panic])).toBe(0);
    expect(status([late], [panic])).toBe(0);
  });

  it('a cell that was up and is not fails it, even if it is only skipped now', () => {
    expect(status([panic], [up])).toBe(1);
    expect(status([blind], [up])).toBe(1);
    expect(status([panic], [blind])).toBe(1);
  });

  it('a cell that got better or is new and up does not', () => {
    expect(status([up], [panic])).toBe(0);
    expect(status([up], [])).toBe(0);
    expect(status([panic], [])).toBe(1);
  });

  it('says what changed, and which cells were not run', () => {
    const other = cell({ interface: 'kvm@6.1' });
    const judgement = judged([panic], [up, other]);
    expect(judgement.cells[0]).toMatchObject({ change: 'worse', outcome: 'fail', known: false });
    expect(judgement.cells.filter(isBad)).toHaveLength(1);
    expect(judgement.missing).toEqual(['debian:12 on kvm@6.1']);
    expect(summaryOf(judgement)).toBe(
      '0 passed, 0 skipped, 1 failed, against the baseline: 1 worse, 0 better, 0 new, 1 of the baseline not run',
    );
  });
});

describe('the JSON of a matrix', () => {
  it('comes back as it was written', () => {
    expect(readMatrix(JSON.parse(jsonOf(MIXED)), 'x')).toEqual(matrixOf(MIXED));
  });

  it.each([
    ['null', null],
    ['another format', { ...matrixOf([]), format: 'pvops-matrix-0' }],
    ['a cell without a verdict', { ...matrixOf([up]), cells: [{ ...up, verdict: 'good' }] }],
    ['a negative count', { ...matrixOf([up]), cells: [{ ...up, instructions: -1 }] }],
  ])('is refused when it is %s', (_, value) => {
    expect(() => readMatrix(value, 'base.json')).toThrow(
      'base.json is not a result of pvops matrix',
    );
  });
});
