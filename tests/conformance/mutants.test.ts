// Breaks each interface in many ways from outside, and asks that the probe kernel notices every one.

import { expect, test } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';
import { runProbe } from '../../src/lab/probe/run-probe.ts';
import { stillHost } from '../../src/lab/testing/tiny-kernel.ts';
import { HARDWARE_MUTANTS } from './hardware-mutants.ts';
import { KVM_MUTANTS } from './kvm-mutants.ts';
import type { Mutant } from './mutant.ts';
import { XEN_PV_MUTANTS } from './xen-pv-mutants.ts';

const AT_LEAST = 30;

async function survivors(id: string, mutants: readonly Mutant[]): Promise<string[]> {
  const on = findInterface(id);
  const alive: string[] = [];
  for (const { name, change } of mutants) {
    const report = await runProbe(stillHost, {
      on: { ...on, interface: change(on.interface) },
      bits: 64,
      boot: 'direct',
      engine: 'interpreter',
      seed: 0,
      timeoutSeconds: 0.02,
    });
    if (report.outcome !== 'error' && report.outcome !== 'fail') alive.push(name);
  }
  const killed = mutants.length - alive.length;
  process.stdout.write(`${id}: ${killed} of ${mutants.length} mutants killed\n`);
  return alive;
}

for (const [id, mutants] of [
  ['native', HARDWARE_MUTANTS],
  // What both have alike is broken once; of the rest a sample shows that it breaks here too.
  ['kvm', [...KVM_MUTANTS, ...HARDWARE_MUTANTS.filter((_, n) => n % 2 === 0)]],
  ['xen-pv', XEN_PV_MUTANTS],
] as const) {
  test(`no way of breaking ${id} goes unnoticed`, async () => {
    expect(mutants.length).toBeGreaterThanOrEqual(AT_LEAST);
    expect(await survivors(id, mutants)).toEqual([]);
  });
}
