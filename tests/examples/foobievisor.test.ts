// Tests of the example interface: small, by public exports only, and green under the probe kernel.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { HypervisorInterface } from '../../src/hypervisors/index.ts';
import { runProbe } from '../../src/lab/probe/run-probe.ts';
import { stillHost } from '../../src/lab/testing/tiny-kernel.ts';

const PATH = '../../examples/foobievisor/index.mjs';
const LINES_MAX = 300;

async function loaded(): Promise<HypervisorInterface> {
  const module: Record<string, unknown> = await import(PATH);
  return module.foobievisor as HypervisorInterface;
}

describe('foobievisor', () => {
  test('is short, and imports nothing but the package', () => {
    const text = readFileSync(fileURLToPath(new URL(PATH, import.meta.url)), 'utf8');
    expect(text.split('\n').length).toBeLessThanOrEqual(LINES_MAX);
    expect([...text.matchAll(/from '(.*)'/g)].map(([, name]) => name)).toEqual(['pvops']);
  });

  for (const bits of [32, 64] as const) {
    test(`passes the probes in ${bits} bits, found by its leaf`, async () => {
      const on = await loaded();
      const report = await runProbe(stillHost, {
        on: { interface: on, version: '1', name: 'foobievisor@1' },
        bits,
        boot: 'direct',
        engine: 'interpreter',
        seed: 0,
      });
      const bad = report.verdicts.filter(
        ({ outcome }) => outcome === 'fail' || outcome === 'error',
      );
      expect(bad.map(({ probe, reasons }) => `${probe.id}: ${reasons}`)).toEqual([]);
      expect(report.trouble).toBe('');
      expect(report.log?.on).toBe('foobievisor');
    });
  }
});
