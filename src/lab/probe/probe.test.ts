// Tests of the probe kernel on the interfaces that there are, and of its reports.

import { Parser } from 'tap-parser';
import { describe, expect, test } from 'vitest';
import { findInterface, INTERFACES } from '../../hypervisors/index.ts';
import { stillHost } from '../testing/tiny-kernel.ts';
import { ktapOfProbes, probeTable } from './reports.ts';
import { runProbe } from './run-probe.ts';

const run = (id: string, bits: 32 | 64, boot: 'direct' | 'pvh' = 'direct') =>
  runProbe(stillHost, { on: findInterface(id), bits, boot, engine: 'interpreter', seed: 0 });

describe('the probe kernel finds nothing wrong', () => {
  for (const { id, guest } of INTERFACES) {
    for (const bits of guest?.bits ?? []) {
      test(`on ${id}, in ${bits} bits`, async () => {
        const report = await run(id, bits);
        const bad = report.verdicts.filter(
          ({ outcome }) => outcome === 'error' || outcome === 'fail',
        );
        expect(bad.map(({ probe, reasons }) => `${probe.id}: ${reasons}`)).toEqual([]);
        expect(report.trouble).toBe('');
        expect(report.verdicts.some(({ outcome }) => outcome === 'pass')).toBe(true);
      });
    }
  }
});

test('it comes in by PVH as well, with the same answers', async () => {
  const [direct, pvh] = [await run('native', 64), await run('native', 64, 'pvh')];
  expect([direct.log?.boot, pvh.log?.boot]).toEqual(['multiboot', 'pvh']);
  const words = ({ verdicts }: typeof direct) => verdicts.map(({ outcome }) => outcome);
  expect(words(pvh)).toEqual(words(direct));
});

test('its KTAP is accepted by tap-parser, a subtest for each run', async () => {
  const report = await run('native', 64);
  const spoilt = {
    ...report,
    outcome: 'fail' as const,
    verdicts: report.verdicts.map((verdict, n) =>
      n === 0 ? { ...verdict, outcome: 'fail' as const, reasons: ['# 1 is not\n2'] } : verdict,
    ),
  };
  const parsed = Parser.parse(ktapOfProbes([report, spoilt]));
  const asserts = parsed.filter((event) => event[0] === 'assert').map((event) => event[1]);
  expect(asserts.map(({ ok }: { ok: boolean }) => ok)).toEqual([true, false]);
  const complete = parsed.find((event) => event[0] === 'complete')?.[1];
  expect(complete).toMatchObject({ count: 2, fail: 1, bailout: false });
});

test('its table has a row for each probe', async () => {
  const { header, rows } = probeTable([await run('native', 64)]);
  expect(header).toEqual(['probe', 'native 64']);
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.find(([id]) => id === 'cpu-clts')).toEqual(['cpu-clts', 'pass']);
});
