// Tests of ours against recorded answers of QEMU's TCG: what differs is explained, and is still so when it is asked again.

import { describe, expect, test } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';
import { compareLogs } from '../../src/lab/probe/compare.ts';
import { runProbe } from '../../src/lab/probe/run-probe.ts';
import { stillHost } from '../../src/lab/testing/tiny-kernel.ts';
import { EXPLAINED, hasQemu, OUTSIDE_RUNS, record, recorded } from './outside.ts';

const qemu = hasQemu();

describe.each(OUTSIDE_RUNS)('$name', (run) => {
  test('parts from ours just where it is explained', async () => {
    const { bits, boot } = run;
    const on = findInterface('native');
    const ours = await runProbe(stillHost, { on, bits, boot, engine: 'interpreter', seed: 0 });
    const compared = compareLogs(recorded(run), ours.log);
    expect(compared?.log).toMatchObject({ bits, boot, on: 'native', ended: true, fault: null });
    expect(
      compared?.apart.map(({ probe, theirs, ours: own }) => [probe, theirs.outcome, own.outcome]),
    ).toEqual(Object.keys(EXPLAINED[bits]).map((probe) => [probe, 'fail', 'pass']));
  });

  test.skipIf(!qemu)('answers as recorded when it is asked again', () => {
    const [before, now] = [recorded(run), record(run)].map((text) => compareLogs(text, null));
    const failing = (one: typeof now) =>
      one?.apart.concat(one.loose).map(({ probe, theirs }) => `${probe} ${theirs.outcome}`);
    expect(now?.log.ended).toBe(true);
    expect(failing(now)).toEqual(failing(before));
  });
});
