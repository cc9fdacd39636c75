// Tests of the table of probes: every cell has one or a reason, and every probe is about something.

import { expect, test } from 'vitest';
import { PROBES } from '../../probe/index.ts';
import { probeCoverage } from './coverage.ts';

test('every operation is asked about on every interface, or a reason says why it is not', () => {
  const bare = probeCoverage().flatMap(({ operation, on }) =>
    on
      .filter(({ probes, reason }) => probes.length === 0 && /^$|not asked yet/.test(reason))
      .map(() => operation),
  );
  expect(bare).toEqual([]);
});

test('every probe is asked somewhere', () => {
  const asked = new Set(probeCoverage().flatMap(({ on }) => on.flatMap(({ probes }) => probes)));
  const aboutNothing = PROBES.filter(({ about }) => about.length === 0).map(({ id }) => id);
  expect(PROBES.map(({ id }) => id).filter((id) => !asked.has(id))).toEqual(aboutNothing);
});
