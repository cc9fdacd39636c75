// A boot with the JIT ends in the state in which the interpreter ends: the same instruction, registers, RAM, TLB, devices.

import { describe, expect, it } from 'vitest';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(titleOf(NAME, pulled), () => {
  it.each([
    { on: 'native', how: 'undisturbed', disturb: 0 },
    { on: 'kvm', how: 'stopped at random, its TLB emptied now and then', disturb: 20261128 },
  ])('ends in the same state by interpreter and JIT on $on, $how', async ({ on, disturb }) => {
    const found = await findKernel(NAME);
    const slow = await boot(found, on, { disturb });
    const fast = await boot(found, on, { engine: 'jit', disturb });
    expect(slow.verdict).toBe('up');
    expect(fast.instructions).toBe(slow.instructions);
    expect(fast.consoleDigest).toBe(slow.consoleDigest);
    expect(fast.stateHash).toBe(slow.stateHash);
  });
});
