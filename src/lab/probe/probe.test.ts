// Tests of the probe kernel on the interfaces that there are.

import { describe, expect, test } from 'vitest';
import { findInterface, INTERFACES } from '../../hypervisors/index.ts';
import { stillHost } from '../testing/tiny-kernel.ts';
import { runProbe } from './run-probe.ts';

describe('the probe kernel finds nothing wrong', () => {
  for (const { id, guest } of INTERFACES) {
    for (const bits of guest?.bits ?? []) {
      test(`on ${id}, in ${bits} bits`, async () => {
        const report = await runProbe(stillHost, {
          on: findInterface(id),
          bits,
          boot: 'direct',
          engine: 'interpreter',
          seed: 0,
        });
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
