// What the cells mean together: which pass, which are skipped, which got worse than a baseline, and the exit status.

import { type Cell, cellName, type Matrix } from './cell.ts';

export type Outcome = 'pass' | 'skip' | 'fail';

/** A cell against the rules of this run. */
export interface Judged {
  readonly cell: Cell;
  readonly outcome: Outcome;
  /** Compared with the baseline, if there is one. */
  readonly change: 'worse' | 'better' | 'same' | 'new' | null;
  /** It fails, as it did in the baseline: nobody's news. */
  readonly known: boolean;
}

export interface Judgement {
  readonly cells: readonly Judged[];
  /** Cells of the baseline that this run did not have. */
  readonly missing: readonly string[];
}

export interface Rules {
  /** `blind` and `absent` fail too. */
  readonly require: boolean;
  readonly baseline: Matrix | null;
}

/** The worst first. */
const RANK: readonly Outcome[] = ['fail', 'skip', 'pass'];

export function judge(cells: readonly Cell[], rules: Rules): Judgement {
  const before = new Map(rules.baseline?.cells.map((cell) => [cellName(cell), cell]));
  const seen = new Set(cells.map(cellName));
  return {
    cells: cells.map((cell) => judgeCell(cell, before.get(cellName(cell)), rules)),
    missing: [...before.keys()].filter((name) => !seen.has(name)),
  };
}

function judgeCell(cell: Cell, before: Cell | undefined, { require, baseline }: Rules): Judged {
  const outcome = outcomeOf(cell, require);
  if (!baseline) return { cell, outcome, change: null, known: false };
  if (!before) return { cell, outcome, change: 'new', known: false };
  const [was, is] = [before, cell].map((one) => RANK.indexOf(outcomeOf(one, require)));
  const change = is! < was! ? 'worse' : is! > was! ? 'better' : 'same';
  return { cell, outcome, change, known: outcome === 'fail' && change === 'same' };
}

export function outcomeOf({ verdict }: Cell, require: boolean): Outcome {
  if (verdict === 'up') return 'pass';
  return !require && (verdict === 'blind' || verdict === 'absent') ? 'skip' : 'fail';
}

/** What makes the run fail: a failure that is not known, and anything worse than the baseline. */
export const isBad = ({ outcome, change, known }: Judged): boolean =>
  change === 'worse' || (outcome === 'fail' && !known);

/** 0: as expected; 42: nothing bad but what ran out of time; 1: a verdict failed. */
export function matrixStatus(judgement: Judgement): number {
  const bad = judgement.cells.filter(isBad);
  if (bad.length === 0) return 0;
  return bad.every(({ cell }) => cell.timedOut) ? 42 : 1;
}

/** `3 passed, 1 skipped, 0 failed`, and what else is to be known. */
export function summaryOf({ cells, missing }: Judgement): string {
  const count = (outcome: Outcome) => cells.filter((one) => one.outcome === outcome).length;
  const parts = [`${count('pass')} passed`, `${count('skip')} skipped`, `${count('fail')} failed`];
  const of = (change: Judged['change']) => cells.filter((one) => one.change === change).length;
  if (cells.some(({ change }) => change !== null)) {
    parts.push(
      `against the baseline: ${of('worse')} worse, ${of('better')} better, ${of('new')} new`,
    );
  }
  if (missing.length > 0) parts.push(`${missing.length} of the baseline not run`);
  return parts.join(', ');
}
