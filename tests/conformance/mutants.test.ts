// Breaks each interface in many ways from outside, and asks that the probe kernel notices every one.

import { expect, test } from 'vitest';
import { findInterface } from '../../src/hypervisors/index.ts';
import { runProbe } from '../../src/lab/probe/run-probe.ts';
import { stillHost } from '../../src/lab/testing/tiny-kernel.ts';
import { HARDWARE_MUTANTS } from './hardware-mutants.ts';
import { KVM_MUTANTS } from './kvm-mutants.ts';
import { LGUEST_MUTANTS } from './lguest-mutants.ts';
import type { Mutant } from './mutant.ts';
import { VMI_MUTANTS } from './vmi-mutants.ts';
import { XEN_PV_MUTANTS } from './xen-pv-mutants.ts';
import { XEN_PVH_MUTANTS } from './xen-pvh-mutants.ts';

const AT_LEAST = 30;

async function survivors(id: string, bits: 32 | 64, mutants: readonly Mutant[]): Promise<string[]> {
  const on = findInterface(id);
  const alive: string[] = [];
  for (const { name, change, engine = 'interpreter' } of mutants) {
    const report = await runProbe(stillHost, {
      on: { ...on, interface: change(on.interface) },
      bits,
      boot: 'direct',
      engine,
      seed: 0,
      timeoutSeconds: 0.02,
    });
    if (report.outcome !== 'error' && report.outcome !== 'fail') alive.push(name);
  }
  const killed = mutants.length - alive.length;
  process.stdout.write(`${id}: ${killed} of ${mutants.length} mutants killed\n`);
  return alive;
}

/** What several have alike is broken in every way once; of the rest a sample shows that it breaks there too. */
const everyNth = (step: number, from: number) =>
  HARDWARE_MUTANTS.filter((_, n) => n % step === from);

for (const [id, bits, mutants] of [
  ['native', 64, HARDWARE_MUTANTS],
  ['kvm', 64, [...KVM_MUTANTS, ...everyNth(2, 0)]],
  ['xen-pv', 64, XEN_PV_MUTANTS],
  ['xen-pvh', 64, [...XEN_PVH_MUTANTS, ...everyNth(3, 1)]],
  ['lguest', 32, LGUEST_MUTANTS],
  ['vmi', 32, VMI_MUTANTS],
] as const) {
  test(`no way of breaking ${id} goes unnoticed`, async () => {
    expect(mutants.length).toBeGreaterThanOrEqual(AT_LEAST);
    expect(await survivors(id, bits, mutants)).toEqual([]);
  });
}
