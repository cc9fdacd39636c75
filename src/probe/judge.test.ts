// Tests of verdicts: what a log says against what probes expect, silence, deaths, skips, and which is the worst.

import { expect, test } from 'vitest';
import { defineGuest } from '../ops/index.ts';
import { defineProbe } from './define.ts';
import { judgeLog, worstOf } from './judge.ts';
import { readProbeLog } from './log.ts';

const HEAD = 'pvops-probe 1 bits=64 probes=1 boot=pvh on=here patched=f';

const asked = defineProbe<{ value: number }>({
  id: 'asked',
  title: 'it is five',
  ref: 'here',
  about: ['cpu.read_cr0'],
  runsOn: 'all',
  guest: () => {},
  check: ({ value }, t) => t.equal(value, 5, 'the value'),
});

const binding = defineGuest({
  id: 'here',
  bits: [64],
  traits: {
    kernelRing: 0,
    pageTables: 'hardware',
    pc: true,
    privileged: 'native',
    patching: 'none',
  },
  operations: {},
  cannot: {},
  console: { emit: () => {} },
  clock: null,
  nullCall: { emit: () => {} },
});

const judge = (lines: readonly string[], on = binding) =>
  judgeLog(readProbeLog(lines.join('\n')), on, 64, [asked]);

test('an answer is judged by its probe, whatever else the console shows', () => {
  expect(judge(['BIOS', HEAD, 'probe asked value=5', 'pvops-probe end'])[0]).toMatchObject({
    outcome: 'pass',
    reasons: [],
  });
  expect(judge([HEAD, 'probe asked value=6', 'pvops-probe end'])[0]).toMatchObject({
    outcome: 'fail',
    reasons: ['the value: 0x6, not 0x5'],
  });
});

test('a probe that says nothing is an error: not asked, no answer, dead, or no kernel at all', () => {
  const reasons = [
    judge([HEAD, 'pvops-probe end']),
    judge([HEAD, 'probe asked', 'pvops-probe end']),
    judge([HEAD, 'probe asked', 'pvops-probe fault vector=e error=0']),
    judge(['nothing of the kind']),
  ].map(([verdict]) => `${verdict!.outcome}: ${verdict!.reasons[0]}`);
  expect(reasons).toEqual([
    'error: it has not been asked',
    'error: it has not answered anything',
    'error: it died of a fault vector=e error=0',
    'error: the kernel has not said a word',
  ]);
});

test('what an interface cannot do is skipped with its reason, answered or not', () => {
  const without = { ...binding, cannot: { 'cpu.read_cr0': 'there is none' } as const };
  const [verdict] = judge([HEAD, 'probe asked value=6', 'pvops-probe end'], without);
  expect(verdict).toMatchObject({ outcome: 'skip', reasons: ['cpu.read_cr0: there is none'] });
});

test('the worst wins: pass, skip, error, fail', () => {
  const of = (...outcomes: ('pass' | 'skip' | 'error' | 'fail')[]) =>
    worstOf(outcomes.map((outcome) => ({ probe: asked, outcome, reasons: [] })));
  expect(of('pass', 'skip')).toBe('skip');
  expect(of('skip', 'error', 'pass')).toBe('error');
  expect(of('error', 'fail', 'skip')).toBe('fail');
  expect(of()).toBe('pass');
});
