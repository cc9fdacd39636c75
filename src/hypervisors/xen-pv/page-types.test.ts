// Page types as programs meet them: what has one use cannot have another, and the errors that say so.

import { describe, expect, it } from 'vitest';
import { EBUSY, EINVAL, EPERM } from '../xen/abi/errno.ts';
import * as abi from './abi.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const SELF = 0x7ff0;
const P = 1;
const RW = 2;

/** One mmuext_op in page 0. */
function ext(p: ProgramParts, cmd: number, mfn: number): string {
  return [
    p.store(p.page(0), cmd),
    p.store(p.page(0) + 8, mfn),
    p.call('mmuext_op', p.page(0), 1, 0, SELF),
  ].join('; ');
}

/** One mmu_update in page 0. */
function update(p: ProgramParts, machineAddress: number, value: number): string {
  return [
    p.store(p.page(0), machineAddress),
    p.store(p.page(0) + 8, value),
    p.call('mmu_update', p.page(0), 1, 0, SELF),
  ].join('; ');
}

const map = (p: ProgramParts, n: number, flags: number) =>
  p.call('update_va_mapping', p.page(n), p.mfn(n) * 4096 + flags, abi.UVMF_INVLPG);

/** Results of a program that ends well. */
function results(program: (p: ProgramParts) => readonly string[]): number[] {
  const outcome = runProgram((p) => [...program(p), p.done].join('; '));
  expect(outcome.why).toContain('poweroff');
  return outcome.results;
}

describe('a page', () => {
  it('that is mapped writable cannot be pinned as a table', () => {
    expect(results((p) => [ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1))])).toEqual([-EINVAL]);
  });

  it('that is pinned as a table cannot be mapped writable, and can again after', () => {
    expect(
      results((p) => [
        map(p, 1, P),
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        map(p, 1, P | RW),
        ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(1)),
        map(p, 1, P | RW),
      ]),
    ).toEqual([0, 0, -EBUSY, 0, 0]);
  });

  it('is pinned once, and unpinned only if it is', () => {
    expect(
      results((p) => [
        map(p, 1, P),
        ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(1)),
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        ext(p, abi.MMUEXT_PIN_L2_TABLE, p.mfn(1)),
        ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(1)),
        ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(1)),
      ]),
    ).toEqual([0, -EINVAL, 0, -EINVAL, -EINVAL, 0, -EINVAL]);
  });

  it('that is mapped writable cannot hold the GDT; one that can only be read can, and then stays so', () => {
    expect(
      results((p) => [
        p.store(p.page(0), p.mfn(1)),
        p.call('set_gdt', p.page(0), 512),
        map(p, 1, P),
        p.call('set_gdt', p.page(0), 512),
        map(p, 1, P | RW),
        p.call('set_gdt', p.page(0), 0),
        map(p, 1, P | RW),
      ]),
    ).toEqual([-EINVAL, 0, 0, -EBUSY, 0, 0]);
  });

  it('of nobody, or of the hypervisor, cannot be mapped', () => {
    const mapFrame = (p: ProgramParts, mfn: number) =>
      p.call('update_va_mapping', p.page(1), mfn * 4096 + P, 0);
    expect(results((p) => [mapFrame(p, 0xffffff), mapFrame(p, 2 ** 40 - 1)])).toEqual([
      -EPERM,
      -EINVAL,
    ]);
  });
});

describe('an entry', () => {
  it('of an unused table is a plain store; of one that is pinned it is checked', () => {
    expect(
      results((p) => [
        update(p, p.mfn(1) * 4096 + 8, 0x81),
        map(p, 1, P),
        // What was stored there is now looked at: a flag that is not allowed.
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        update(p, p.mfn(1) * 4096 + 8, 0),
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        update(p, p.mfn(1) * 4096 + 8, p.mfn(2) * 4096 + P),
        update(p, p.mfn(1) * 4096 + 16, (p.mfn(1) * 4096 + P) | RW),
        update(p, p.mfn(1) * 4096 + 24, p.mfn(2) * 4096 + P + 0x80),
      ]),
    ).toEqual([0, 0, -EINVAL, 0, 0, 0, -EBUSY, -EINVAL]);
  });

  it('is given the user bit, and a kernel page the mark by which Xen knows it', () => {
    const { word, results: all } = runProgram((p) =>
      [
        map(p, 1, P),
        ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(1)),
        update(p, p.mfn(1) * 4096, p.mfn(2) * 4096 + P),
        update(p, p.mfn(1) * 4096 + 8, p.mfn(2) * 4096 + P + 4),
        p.done,
      ].join('; '),
    );
    expect(all).toEqual([0, 0, 0, 0]);
    expect([word(1, 0) & ~0xffff_f000n, word(1, 1) & ~0xffff_f000n]).toEqual([
      (1n << 52n) | 5n,
      0x105n,
    ]);
  });
});
