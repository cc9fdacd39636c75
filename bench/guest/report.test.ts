// The reports of bench:guest: medians, checksums, means and targets from known readings.

import { expect, test } from 'vitest';
import type { Machine } from './machines.ts';
import { geometricMean, sectionRows, tableText, targetsOf, withoutCopies } from './report.ts';
import { PROGRAMS, programsWith, suiteScript } from './suite.ts';
import type { SuiteRun } from './time-sections.ts';

const SECTIONS = [
  { name: 'sieve', checksum: 'a1' },
  { name: 'memcpy_repmovs', checksum: 'b2', copy: true },
];

function machine(name: Machine['name']): Machine {
  return { name, how: '', command: '', args: [] };
}

function run(seconds: Record<string, number>, checksums: Record<string, string> = {}): SuiteRun {
  const sections = SECTIONS.filter((s) => s.name in seconds).map((s) => ({
    section: s.name,
    cpuSeconds: seconds[s.name]!,
    wallSeconds: seconds[s.name]!,
    checksum: checksums[s.name] ?? s.checksum,
    ticks: 2e6,
  }));
  return { sections, boot: null, peakMegabytes: 1, finished: true, tail: '' };
}

const QEMU = { machine: machine('QEMU'), runs: [run({ sieve: 1, memcpy_repmovs: 1 })] };

test('a section takes the median of its rounds, and its mean is geometric', () => {
  const runs = [1, 9, 4].map((sieve) => run({ sieve, memcpy_repmovs: 1 }));
  const rows = sectionRows([{ machine: machine('pvops'), runs }, QEMU], SECTIONS);
  expect(rows[0]?.ratios.QEMU).toBe(4);
  expect(geometricMean(rows, 'QEMU')).toBeCloseTo(2, 10);
  expect(geometricMean(withoutCopies(rows), 'QEMU')).toBeCloseTo(4, 10);
});

test('there is no mean when a section did not run', () => {
  const runs = [run({ sieve: 1 })];
  const rows = sectionRows([{ machine: machine('pvops'), runs }, QEMU], SECTIONS);
  expect(geometricMean(rows, 'QEMU')).toBeNull();
  expect(geometricMean(withoutCopies(rows), 'QEMU')).toBe(1);
});

test('a wrong checksum in any round is marked', () => {
  const runs = [run({ sieve: 1 }), run({ sieve: 1 }, { sieve: 'ff' })];
  const measured = [{ machine: machine('pvops'), runs }];
  const rows = sectionRows(measured, SECTIONS);
  expect(rows[0]?.cells.pvops?.checksumHolds).toBe(false);
  expect(tableText(rows, measured)).toContain('WRONG');
});

test('the copies have a target of their own', () => {
  const runs = [run({ sieve: 1, memcpy_repmovs: 0.05 })];
  const rows = sectionRows([{ machine: machine('pvops'), runs }, QEMU], SECTIONS);
  const targets = targetsOf(rows, 64, true);
  expect(targets.map((t) => [t.name, t.ratio, t.required])).toEqual([
    ['mean without copies by QEMU', 1, 1.5],
    ['memcpy_repmovs by QEMU', 0.05, 0.1],
  ]);
  expect(targetsOf(rows, 64, false)).toHaveLength(1);
});

test('the suite runs every program once and prints sections of different names', () => {
  const names = PROGRAMS.flatMap((p) => p.sections.map((s) => s.name));
  expect(new Set(names).size).toBe(names.length);
  expect(programsWith([], 64).flatMap((p) => p.sections)).toHaveLength(names.length - 1);
  expect(suiteScript(programsWith(['fork'], 64))).toBe('/bench/forkexec 500\necho ALL-DONE\n');
});
