// A boot with the JIT ends in the state in which the interpreter ends: the same instruction, registers, RAM, TLB, devices.

import { describe, expect, it } from 'vitest';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(titleOf(NAME, pulled), () => {
  it.each(['native', 'kvm'])('ends in the same state by interpreter and JIT on %s', async (on) => {
    const found = await findKernel(NAME);
    const slow = await boot(found, on);
    const fast = await boot(found, on, { engine: 'jit' });
    expect(slow.verdict).toBe('up');
    expect(fast.instructions).toBe(slow.instructions);
    expect(fast.consoleDigest).toBe(slow.consoleDigest);
    expect(fast.stateHash).toBe(slow.stateHash);
  });
});
