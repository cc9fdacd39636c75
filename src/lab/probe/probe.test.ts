// Tests of the probe kernel on the interfaces that there are, and of its reports.

import { Parser } from 'tap-parser';
import { describe, expect, test } from 'vitest';
import { type BootWay, findInterface, INTERFACES } from '../../hypervisors/index.ts';
import { openKernel } from '../../image/index.ts';
import { MEASURE_NAMES } from '../../probe/index.ts';
import { stillHost } from '../testing/tiny-kernel.ts';
import { hostTimes } from './host-time.ts';
import { probeBzImage, probeElf } from './probe-kernel.ts';
import { ktapOfProbes, probeTable } from './reports.ts';
import { type ProbeReport, runProbe } from './run-probe.ts';

const reports = new Map<string, Promise<ProbeReport>>();

/** Runs are the same every time: one of a kind is enough. */
function run(id: string, bits: 32 | 64, boot: BootWay = 'direct'): Promise<ProbeReport> {
  const key = `${id} ${bits} ${boot}`;
  const on = findInterface(id);
  const report =
    reports.get(key) ?? runProbe(stillHost, { on, bits, boot, engine: 'interpreter', seed: 0 });
  reports.set(key, report);
  return report;
}

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

test.each([
  ['native', 64, 'setup', 'linux32'],
  ['native', 64, 'linux64', 'linux64'],
  ['vmi', 32, 'setup', 'linux32'],
  ['lguest', 32, 'linux32', 'own'],
] as const)('as a bzImage it comes in on %s in %i bits by %s', async (id, bits, boot, way) => {
  const report = await run(id, bits, boot);
  expect([report.log?.boot, report.trouble]).toEqual([way, '']);
  expect(
    report.verdicts.filter(({ outcome }) => outcome === 'error' || outcome === 'fail'),
  ).toEqual([]);
});

test('the bzImage says by its header where the ELF file is, for loaders that unpack it', () => {
  const kernel = openKernel(probeBzImage(64), 'probe');
  expect(kernel.header).toMatchObject({ version: 0x20f, code32_start: 0x100000, xloadflags: 1 });
  expect([kernel.kind, kernel.bits, kernel.version()]).toEqual(['bzimage', 64, 'pvops-probe 1']);
  expect(kernel.elf().bytes).toEqual(probeElf(64));
});

test('what waits in lazy mode costs a guest of Xen less than calls of its own', async () => {
  for (const bits of [32, 64] as const) {
    const { log } = await run('xen-pv', bits);
    const cost = (name: string) => log!.measures.get(name)! - log!.measures.get('nothing')!;
    expect(cost('set_pte_batched')).toBeLessThan(16 * (cost('set_pte') - cost('flush_tlb_single')));
  }
});

test('host time is measured by the clock of the host, around each thing', async () => {
  let seconds = 0;
  const host = {
    ...stillHost,
    cpuSeconds() {
      seconds += 1e-6;
      return seconds;
    },
  };
  const on = findInterface('native');
  const times = await hostTimes(
    host,
    { on, bits: 32, boot: 'direct', engine: 'interpreter', seed: 0 },
    { roundsLog2: 4, announced: true },
  );
  expect([...times.keys()]).toEqual(MEASURE_NAMES);
  for (const nanos of times.values()) expect(nanos).toBeGreaterThan(60);
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
