// A run of the probe kernel that is saved in the middle and restored into another machine goes on as if nothing had been.

import { expect, it } from 'vitest';
import { findInterface } from '../hypervisors/index.ts';
import { probeKernel } from './probe/probe-kernel.ts';
import {
  hashOf,
  machineFor,
  restore,
  runTo,
  type SavedKernel,
  save,
  started,
} from './testing/saved-run.ts';

const MIDDLE = 120_000;
/** All of them are still asking then. */
const LATER = 240_000;

it.each([
  ['xen-pv', 32],
  ['xen-pv', 64],
  ['xen-pvh', 32],
  ['xen-pvh', 64],
  ['vmi', 32],
  ['lguest', 32],
] as const)('on %s, with %i bits, the state is the same at a later instruction', (on, bits) => {
  const what: SavedKernel = {
    on,
    kernel: probeKernel(bits, findInterface(on)),
    initrd: null,
    commandLine: '',
    memoryBytes: 16 << 20,
  };
  const whole = started(what);
  runTo(whole, MIDDLE);
  const saved = save(whole);
  runTo(whole, LATER);
  const second = machineFor(what);
  restore(second, saved);
  runTo(second, LATER);
  expect(second.cpu.retired()).toBe(LATER);
  expect(hashOf(second)).toBe(hashOf(whole));
});
