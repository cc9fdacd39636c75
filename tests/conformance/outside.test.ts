// Tests of ours against recorded answers of other machines: what differs is explained, and is still so when it is asked again.

import { describe, expect, test } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';
import { compareLogs } from '../../src/lab/probe/compare.ts';
import { runProbe } from '../../src/lab/probe/run-probe.ts';
import { stillHost } from '../../src/lab/testing/tiny-kernel.ts';
import { OUTSIDE_RUNS, record, recorded } from './outside.ts';

describe.each(OUTSIDE_RUNS)('$name', (run) => {
  test('parts from ours just where it is explained', async () => {
    const { bits, boot, says, explained } = run;
    const on = findInterface(run.on);
    const ours = await runProbe(stillHost, { on, bits, boot, engine: 'interpreter', seed: 0 });
    const compared = compareLogs(recorded(run), ours.log);
    expect(compared?.log).toMatchObject({ bits, boot: says, on: run.on, ended: true, fault: null });
    expect(
      compared?.apart.map(({ probe, theirs, ours: own }) => [probe, theirs.outcome, own.outcome]),
    ).toEqual(
      Object.keys(explained)
        .toSorted()
        .map((probe) => [probe, 'fail', 'pass']),
    );
  });

  const { peer } = run;
  test.skipIf(!peer?.version())('answers as recorded when it is asked again', () => {
    const now = compareLogs(record(run, peer!), null);
    const before = compareLogs(recorded(run), null);
    const failing = (one: typeof now) =>
      one?.apart.concat(one.loose).map(({ probe, theirs }) => `${probe} ${theirs.outcome}`);
    expect(now?.log.ended).toBe(true);
    expect(failing(now)).toEqual(failing(before));
  });
});
