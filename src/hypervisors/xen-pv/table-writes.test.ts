// Ordinary stores to L1 tables: checked and done where Xen does them, a page fault where it does not.

import { describe, expect, it } from 'vitest';
import * as abi from './abi.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const P = 1;
const RW = 2;
const SELF = 0x7ff0;
const PF = 14;
const TABLE = 1;
const MARK = 1n << 52n;

/** Page 1 becomes an L1 table whose stores Xen is to make, and what faults from then on goes to `handler`. */
function pinned(p: ProgramParts): string {
  return [
    p.store(p.page(0), PF),
    `lea rax, [handler]; mov rbx, ${p.page(0)}; mov [rbx + 8], rax`,
    p.store(p.page(0) + 24, 0),
    p.call('set_trap_table', p.page(0)),
    p.call('vm_assist', 0, abi.VMASST_TYPE_writable_pagetables),
    p.call('update_va_mapping', p.page(TABLE), p.mfn(TABLE) * 4096 + P, abi.UVMF_INVLPG),
    p.store(p.page(0), abi.MMUEXT_PIN_L1_TABLE),
    p.store(p.page(0) + 8, p.mfn(TABLE)),
    p.call('mmuext_op', p.page(0), 1, 0, SELF),
  ].join('\n');
}

function run(body: (p: ProgramParts) => string, engine: 'reference' | 'interpreter' = 'reference') {
  const outcome = runProgram(
    (p) =>
      [
        pinned(p),
        `mov rbx, ${p.page(TABLE)}`,
        body(p),
        p.done,
        'handler:',
        `mov rax, [rsp + 16]; ${p.keep('rax')}`,
        p.done,
      ].join('\n'),
    { engine },
  );
  expect(outcome.results.slice(0, 4)).toEqual([0, 0, 0, 0]);
  return { results: outcome.results.slice(4), word: (n: number) => outcome.word(TABLE, n) };
}

const entry = (p: ProgramParts, flags: number) => `0x${(p.mfn(2) * 4096 + flags).toString(16)}`;
const frameBits = 0xf_ffff_f000n;

describe.each(['reference', 'interpreter'] as const)('on the %s', (engine) => {
  it('a store of a whole entry is made, with the bits that Xen adds', () => {
    const { results, word } = run((p) => `mov rax, ${entry(p, P)}; mov [rbx + 8], rax`, engine);
    expect(results).toEqual([]);
    expect(word(1) & ~frameBits).toBe(MARK | 5n);
  });

  it('immediates, halves of entries, indexed addresses and those in a segment all name the entry that is meant', () => {
    const { results, word } = run(
      (p) =>
        `mov ecx, 3; mov rax, ${entry(p, P)}; mov [rbx + rcx*8 - 8], rax; mov qword ptr [rbx + 24], -2; mov dword ptr [rbx + rcx*8 + 12], 0x11; mov eax, 0x22; mov [rbx + 40], eax; mov qword ptr fs:[rbx + 48], 0x44`,
      engine,
    );
    expect(results).toEqual([]);
    expect(word(2) & ~frameBits).toBe(MARK | 5n);
    expect([3, 4, 5, 6].map(word)).toEqual([0xffff_ffff_ffff_fffen, 0x11n << 32n, 0x22n, 0x44n]);
  });

  it('a store that only ends in the table faults, and nothing of it is made', () => {
    const { results, word } = run(() => 'mov qword ptr [rbx - 4], -2; ', engine);
    expect([results, word(0)]).toEqual([[3], 0n]);
  });

  it('an exchange gives the old entry back, and a locked clearing of a bit takes it away', () => {
    const { results, word } = run(
      (p) =>
        `mov rax, ${entry(p, P | RW)}; mov [rbx], rax; lock btr qword ptr [rbx], 1; setc al; movzx eax, al; ${p.keep('rax')}; xor ecx, ecx; xchg [rbx], rcx; and ecx, 0xfff; ${p.keep('rcx')}`,
      engine,
    );
    expect(results).toEqual([1, P | 4]);
    expect(word(0)).toBe(0n);
  });
});

it('a compare-and-exchange and stores of parts of an entry work alike', () => {
  const { results, word } = run(
    (p) =>
      `xor eax, eax; mov rcx, ${entry(p, P)}; lock cmpxchg [rbx], rcx; setz al; movzx eax, al; ${p.keep('rax')}; and byte ptr [rbx], 0xfe; mov dword ptr [rbx + 12], 0x11`,
  );
  expect(results).toEqual([1]);
  // The page is not present any more, and what is not present may be anything.
  expect([word(0) & 0xfffn, word(1)]).toEqual([4n, 0x11n << 32n]);
});

it.each([
  [
    'a second mapping of the table that can be written',
    (p: ProgramParts) => p.mfn(TABLE) * 4096 + P + RW,
  ],
  ['a frame that is not there', () => 0xff_ffff_f000 + P],
  ['a large page', (p: ProgramParts) => p.mfn(2) * 4096 + P + 0x80],
])('%s is refused: the store faults', (_what, value) => {
  const { results, word } = run((p) => `mov rax, 0x${value(p).toString(16)}; mov [rbx], rax`);
  expect([results, word(0)]).toEqual([[3], 0n]);
});

it('of a guest that has not asked for it no store is made', () => {
  const { results, word } = run(
    (p) =>
      `${p.call('vm_assist', 1, abi.VMASST_TYPE_writable_pagetables)}; mov rbx, ${p.page(TABLE)}; mov rax, ${entry(p, P)}; mov [rbx], rax`,
  );
  expect([results, word(0)]).toEqual([[0, 3], 0n]);
});

it('a store that is not aligned is refused', () => {
  expect(run(() => 'mov qword ptr [rbx + 4], 0').results).toEqual([3]);
});

it('a page that is only read-only, and no table, faults', () => {
  const { results } = run((p) =>
    [
      p.call('update_va_mapping', p.page(5), p.mfn(5) * 4096 + P, abi.UVMF_INVLPG),
      `mov rbx, ${p.page(5)}; mov [rbx], eax`,
    ].join('\n'),
  );
  expect(results).toEqual([0, 3]);
});

it('what a table refers to cannot become a table itself, until the entry is gone', () => {
  const { results } = run((p) => {
    const pin = [
      p.store(p.page(0), abi.MMUEXT_PIN_L1_TABLE),
      p.store(p.page(0) + 8, p.mfn(2)),
      p.call('mmuext_op', p.page(0), 1, 0, SELF),
    ].join('\n');
    return [
      p.call('update_va_mapping', p.page(2), 0, abi.UVMF_INVLPG),
      `mov rbx, ${p.page(TABLE)}; mov rax, ${entry(p, P | RW)}; mov [rbx], rax`,
      pin,
      `mov rbx, ${p.page(TABLE)}; mov qword ptr [rbx], 0`,
      pin,
    ].join('\n');
  });
  expect(results).toEqual([0, -22, 0]);
});
