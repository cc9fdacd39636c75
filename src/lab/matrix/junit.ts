// The matrix as JUnit XML, as CI servers read it: a suite for each kernel, a test case for each interface.

import { columnName } from './cell.ts';
import type { Judged, Judgement } from './outcome.ts';
import { xmlAttribute, xmlText } from './xml-text.ts';

export function junitOf({ cells }: Judgement): string {
  const kernels = [...new Set(cells.map(({ cell }) => cell.kernel))];
  const suites = kernels.map((kernel) =>
    suite(
      kernel,
      cells.filter((one) => one.cell.kernel === kernel),
    ),
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="pvops matrix" ${counts(cells)}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function suite(kernel: string, cells: readonly Judged[]): string {
  return [
    `  <testsuite name="${xmlAttribute(kernel)}" ${counts(cells)}>`,
    ...cells.map(testCase),
    '  </testsuite>',
  ].join('\n');
}

function counts(cells: readonly Judged[]): string {
  const errors = cells.filter(isError).length;
  const failures = cells.filter((one) => one.outcome === 'fail').length - errors;
  const skipped = cells.filter((one) => one.outcome === 'skip').length;
  const time = cells.reduce((sum, { cell }) => sum + cell.hostSeconds, 0);
  return `tests="${cells.length}" failures="${failures}" errors="${errors}" skipped="${skipped}" time="${time.toFixed(3)}"`;
}

function testCase(judged: Judged): string {
  const { cell } = judged;
  const open = `    <testcase classname="${xmlAttribute(cell.kernel)}" name="${xmlAttribute(columnName(cell))}" time="${cell.hostSeconds.toFixed(3)}">`;
  return [open, ...finding(judged), output(judged), '    </testcase>'].join('\n');
}

function finding(judged: Judged): string[] {
  const { cell, outcome } = judged;
  if (outcome === 'pass') return [];
  const message = `message="${xmlAttribute(`${cell.verdict}: ${cell.reason}`)}"`;
  if (outcome === 'skip') return [`      <skipped ${message}/>`];
  const tag = isError(judged) ? 'error' : 'failure';
  return [
    `      <${tag} type="${xmlAttribute(cell.verdict)}" ${message}>${xmlText(cell.vcpu ?? '')}</${tag}>`,
  ];
}

function output({ cell }: Judged): string {
  const facts = `${cell.verdict}: ${cell.reason}\n${cell.instructions} instructions, state ${cell.stateHash ?? '-'}\n`;
  return `      <system-out>${xmlText(facts + cell.console.join('\n'))}</system-out>`;
}

const isError = ({ cell, outcome }: Judged): boolean =>
  outcome === 'fail' && cell.verdict === 'error';
