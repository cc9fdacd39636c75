// Grants that a PV guest gives to itself and maps: by address and by entry, in both word sizes.

import { expect, it } from 'vitest';
import * as abi from '../xen/abi/grant-table.ts';
import { OUR_DOMID } from '../xen/domain.ts';
import { MMUEXT_PIN_L1_TABLE } from './abi.ts';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';
import { type Program32Parts, runProgram32 } from './testing/pv32-guest.ts';

const SELF = 0x7ff0;
const REF = 8;
/** Pages: the granted one, where it is mapped, and the table. */
const [GRANTED, MAPPED, TABLE] = [2, 4, 7];
const { GNTST_general_error, GNTST_bad_handle } = abi;

/** Grants a page and asks for the table, whose frame is at page 1; then the table is at its page, and the entry is made. */
const granted = (p: ProgramParts) =>
  [
    p.store(p.page(0), SELF + 2 ** 32),
    p.store(p.page(0) + 16, p.page(1)),
    p.call('grant_table_op', 2, p.page(0), 1),
    `mov rdi, ${p.page(TABLE)}; mov rsi, ${p.page(1)}; mov rsi, [rsi]; shl rsi, 12; or rsi, 0x63; mov edx, 2; mov eax, 14; syscall`,
    p.store(p.page(GRANTED), 0x1234),
    p.store(
      p.page(TABLE) + REF * 8,
      (BigInt(p.mfn(GRANTED)) << 32n) | BigInt(OUR_DOMID << 16) | 1n,
    ),
  ].join('\n');
const status = (p: ProgramParts, offset: number) =>
  `mov rbx, ${p.page(0)}; movsx rax, word ptr [rbx + ${offset}]; ${p.keep('rax')}`;
const map = (p: ProgramParts, flags: number) =>
  [
    p.store(p.page(0), p.page(MAPPED)),
    p.store(p.page(0) + 8, (BigInt(REF) << 32n) | BigInt(flags)),
    p.store(p.page(0) + 16, OUR_DOMID),
    p.call('grant_table_op', 0, p.page(0), 1),
    status(p, 18),
  ].join('\n');
const unmap = (p: ProgramParts, handle: number, bus = 0) =>
  [
    p.store(p.page(0), bus === 0 ? p.page(MAPPED) : 0),
    p.store(p.page(0) + 8, bus),
    p.store(p.page(0) + 16, handle),
    p.call('grant_table_op', 1, p.page(0), 1),
    status(p, 20),
  ].join('\n');
const word = (p: ProgramParts, va: number) => `mov rbx, ${va}; mov rax, [rbx]; ${p.keep('rax')}`;
const inUse = (p: ProgramParts) =>
  `mov rbx, ${p.page(TABLE) + REF * 8}; movzx eax, word ptr [rbx]; ${p.keep('rax')}`;

it('GNTTABOP_map_grant_ref maps a grant of its own, GNTTABOP_unmap_grant_ref takes it away, and its entry shows it', () => {
  const { results, why } = runProgram((p) =>
    [
      granted(p),
      map(p, abi.GNTMAP_host_map),
      word(p, p.page(MAPPED)),
      p.store(p.page(MAPPED), 0x99),
      word(p, p.page(GRANTED)),
      inUse(p),
      unmap(p, 1),
      unmap(p, 0),
      inUse(p),
      unmap(p, 0),
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([
    ...[0, 0, 0, 0x1234, 0x99, 0x19],
    ...[0, GNTST_bad_handle, 0, 0, 1, 0, GNTST_bad_handle],
  ]);
});

it('a grant for a device holds its frame to what it is, until the bus address is given back', () => {
  const { results } = runProgram((p) => {
    const pin = [
      p.store(p.page(0) + 64, MMUEXT_PIN_L1_TABLE),
      p.store(p.page(0) + 72, p.mfn(GRANTED)),
      p.call('mmuext_op', p.page(0) + 64, 1, 0, SELF),
    ];
    const readOnly = `mov rdi, ${p.page(GRANTED)}; mov rsi, ${p.mfn(GRANTED) * 4096 + 0x61}; mov edx, 2; mov eax, 14; syscall`;
    return [
      granted(p),
      map(p, abi.GNTMAP_device_map),
      p.store(p.page(GRANTED), 0),
      readOnly,
      ...pin,
      unmap(p, 0, p.mfn(GRANTED) * 4096),
      ...pin,
      p.done,
    ].join('\n');
  });
  expect(results).toEqual([0, 0, 0, -22, 0, 0, 0]);
});

it('what may only be read is not mapped to be written, and no table of pages is', () => {
  const { results } = runProgram((p) =>
    [
      granted(p),
      `mov rbx, ${p.page(TABLE) + REF * 8}; or word ptr [rbx], ${abi.GTF_readonly}`,
      map(p, abi.GNTMAP_host_map),
      inUse(p),
      map(p, abi.GNTMAP_host_map | abi.GNTMAP_readonly),
      inUse(p),
      p.done,
    ].join('\n'),
  );
  expect(results).toEqual([0, 0, GNTST_general_error, 5, 0, 0, 0xd]);
});

it('a guest of 32 bits maps by the machine address of an entry', () => {
  const L1 = 30;
  const { results } = runProgram32((p: Program32Parts) =>
    [
      p.store(p.page(0), SELF, 1, 0, p.page(1)),
      p.call('grant_table_op', 2, p.page(0), 1),
      `mov ecx, [${p.page(1)}]; shl ecx, 12; or ecx, 0x63; mov ebx, ${p.page(TABLE)}; xor edx, edx; mov esi, 2; mov eax, 14; int 0x82`,
      p.store(p.page(TABLE) + REF * 8, 1 | (OUR_DOMID << 16), p.mfn(GRANTED)),
      p.call('update_va_mapping', p.page(L1), p.mfn(L1) * 4096 + 0x61, 0, 2),
      p.store(p.page(0), MMUEXT_PIN_L1_TABLE, p.mfn(L1), 0),
      p.call('mmuext_op', p.page(0), 1, 0, SELF),
      p.store(
        p.page(0),
        ...[p.mfn(L1) * 4096 + 16, 0, abi.GNTMAP_host_map | abi.GNTMAP_contains_pte, REF],
        ...[OUR_DOMID, 0, 0, 0],
      ),
      p.call('grant_table_op', 0, p.page(0), 1),
      `movsx eax, word ptr [${p.page(0) + 18}]; ${p.keep('eax')}`,
      `mov eax, [${p.page(L1) + 16}]; sub eax, ${p.mfn(GRANTED) * 4096}; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  expect(results).toEqual([0, 0, 0, 0, 0, 0x63]);
});
