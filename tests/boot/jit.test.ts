// A boot with the JIT ends in the state in which the interpreter ends: the same instruction, registers, RAM, TLB, devices, trace.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findInterface, startTrace } from '../../src/lab/index.ts';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(titleOf(NAME, pulled), () => {
  it.each([
    { on: 'native', how: 'undisturbed', disturb: 0 },
    { on: 'kvm', how: 'stopped at random, its TLB emptied now and then', disturb: 20261128 },
  ])('ends in the same state by interpreter and JIT on $on, $how', async ({ on, disturb }) => {
    const found = await findKernel(NAME);
    const traced = async (engine: 'interpreter' | 'jit') => {
      const head = { kernel: NAME, sha256: found.digest };
      const format = { head, operations: null, format: 'jsonl' as const };
      const session = startTrace({ on: findInterface(on), ...format });
      const digest = createHash('sha256');
      const add = (text: readonly (string | Uint8Array)[]) => void digest.update(text.join(''));
      const flush = async () => add(session.take());
      const changes = { engine, disturb };
      const result = await boot(found, on, changes, { tracer: session.tracer, flush });
      add(session.finish());
      return { ...result, trace: digest.digest('hex'), counts: session.tracer.counts() };
    };
    const slow = await traced('interpreter');
    const fast = await traced('jit');
    expect(slow.verdict).toBe('up');
    expect(fast.instructions).toBe(slow.instructions);
    expect(fast.consoleDigest).toBe(slow.consoleDigest);
    expect(fast.stateHash).toBe(slow.stateHash);
    expect(fast.trace).toBe(slow.trace);
    expect(fast.counts).toEqual(slow.counts);
    expect(fast.counts.length).toBeGreaterThan(10);
  });
});
