// Memory that a PV guest gives, takes and exchanges, and the map of it that it sets.

import { expect, it } from 'vitest';
import * as memory from '../xen/abi/memory.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const SELF = 0x7ff0;
const [LIST, OTHER, GIVEN] = [3, 4, 5];

/** Words of page 0, and the call with them. */
const memoryOp = (p: ProgramParts, cmd: number, ...words: readonly number[]) =>
  [
    ...words.map((word, n) => p.store(p.page(0) + n * 8, word)),
    p.call('memory_op', cmd, p.page(0)),
  ].join('; ');
const unmap = (p: ProgramParts, n: number) => p.call('update_va_mapping', p.page(n), 0, 2);
const keepWord = (p: ProgramParts, va: number) =>
  `mov rbx, ${va}; mov rax, [rbx]; ${p.keep('rax')}`;

it('XENMEM_exchange takes a page that is not mapped, and gives a cleared one at a page number', () => {
  const { results, why } = runProgram((p) => {
    const exchange = memoryOp(
      ...([p, memory.XENMEM_exchange, p.page(LIST), 1, 0, SELF] as const),
      ...([p.page(OTHER), 1, 0, SELF, 0] as const),
    );
    return [
      p.store(p.page(GIVEN), 0x77),
      p.store(p.page(LIST), p.mfn(GIVEN)),
      p.store(p.page(OTHER), 0x123),
      exchange,
      unmap(p, GIVEN),
      exchange,
      keepWord(p, p.page(0) + 64),
      // The new frame, mapped: what is in it, and its page number.
      `mov rbx, ${p.page(OTHER)}; mov r12, [rbx]; mov rsi, r12; shl rsi, 12; or rsi, 3`,
      `mov rdi, ${p.page(GIVEN)}; mov edx, 2; mov eax, 14; syscall; ${p.keep('rax')}`,
      keepWord(p, p.page(GIVEN)),
      `mov rbx, 0xffff800000000000; mov rax, [rbx + r12 * 8]; ${p.keep('rax')}`,
      p.done,
    ].join('\n');
  });
  expect(why).toContain('poweroff');
  expect(results).toEqual([-22, 0, 0, 1, 0, 0, 0x123]);
});

it('populate_physmap gives back what decrease_reservation took, page by page, and no larger extent', () => {
  const { results, why } = runProgram((p) =>
    [
      unmap(p, GIVEN),
      p.store(p.page(LIST), p.mfn(GIVEN)),
      memoryOp(p, memory.XENMEM_decrease_reservation, p.page(LIST), 1, 0, SELF),
      p.store(p.page(LIST), 0x124),
      memoryOp(p, memory.XENMEM_populate_physmap, p.page(LIST), 1, 1, SELF),
      memoryOp(p, memory.XENMEM_populate_physmap, p.page(LIST), 1, 0, SELF),
      // There is no more than the domain may have.
      memoryOp(p, memory.XENMEM_populate_physmap, p.page(LIST), 1, 0, SELF),
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0, 1, 0, 1, 0]);
});

it('XENMEM_memory_map tells what XENMEM_set_memory_map has set, as far as there is room', () => {
  const { results, why } = runProgram((p) =>
    [
      p.store(p.page(LIST), 0x1000),
      p.store(p.page(LIST) + 8, 0x2000),
      memoryOp(p, memory.XENMEM_set_memory_map, SELF, 1, p.page(LIST)),
      memoryOp(p, memory.XENMEM_memory_map, 9, p.page(OTHER)),
      keepWord(p, p.page(0)),
      keepWord(p, p.page(OTHER)),
      keepWord(p, p.page(OTHER) + 8),
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0, 0, 1, 0x1000, 0x2000]);
});

it('XENMEM_machphys_mfn_list tells where the table begins', () => {
  const { results } = runProgram((p) =>
    [
      memoryOp(p, memory.XENMEM_machphys_mfn_list, 4, p.page(OTHER), 0),
      keepWord(p, p.page(0) + 16),
      // It is Xen's: the guest may not map it for writing.
      `mov rbx, ${p.page(OTHER)}; mov rsi, [rbx]; shl rsi, 12; or rsi, 3`,
      `mov rdi, ${p.page(GIVEN)}; mov edx, 2; mov eax, 14; syscall; ${p.keep('rax')}`,
      p.done,
    ].join('\n'),
  );
  expect(results).toEqual([0, 1, -16]);
});
