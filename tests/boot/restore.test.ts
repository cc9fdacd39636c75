// Debian's kernel as a guest of Xen, saved in the middle of its boot and restored into a machine that has never started.

import { describe, expect, it } from 'vitest';
import { buildInitramfs } from '../../src/lab/index.ts';
import {
  hashOf,
  machineFor,
  restore,
  runTo,
  type SavedKernel,
  save,
  started,
} from '../../src/lab/testing/saved-run.ts';
import { findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);
const MEMORY_BYTES = 128 << 20;
/** Instructions: the kernel has its own page tables and clock by then, and is setting up its devices. */
const MIDDLE = 60_000_000;
const LATER = 90_000_000;

describe.skipIf(!pulled)(titleOf(NAME, pulled), () => {
  it.each(['xen-pv', 'xen-pvh'])('goes on to the same state on %s', async (on) => {
    const { kernel, busybox } = await findKernel(NAME);
    const what: SavedKernel = {
      on,
      kernel,
      initrd: buildInitramfs({ busybox: (await busybox()) ?? new Uint8Array() }),
      commandLine: 'console=hvc0',
      memoryBytes: MEMORY_BYTES,
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
});
