// Page tables of 32-bit PAE guests: the steps of a kernel that makes its own, and what Xen refuses on the way.

import { expect, it } from 'vitest';
import * as abi from './abi.ts';
import { FIRST_XEN_L2_SLOT } from './page-tables.ts';
import { type Program32Parts, runProgram32 } from './testing/pv32-guest.ts';
import {
  copyTables,
  ext,
  L2,
  L3,
  map,
  OWN,
  ownTables,
  PT_BASE,
  RO,
  RW,
  update,
} from './testing/pv32-steps.ts';

const M2P = 0xf580_0000;
const EINVAL = -22;
const EPERM = -1;
const EBUSY = -16;
/** Takes Xen's entries out of the copied L2: a guest may not refer to what they do. */
const withoutXen = (p: Program32Parts) =>
  `xor eax, eax; mov edi, ${p.page(L2) + FIRST_XEN_L2_SLOT * 8}; mov ecx, ${(512 - FIRST_XEN_L2_SLOT) * 2}; rep stosd`;

function results(program: (p: Program32Parts) => string): number[] {
  const run = runProgram32((p) => `${program(p)}\n${p.done}`, { budget: 100_000 });
  expect(run.why).toContain('poweroff');
  return run.results;
}

/** An L1 table in page 30 for 0x40200000 and the next pages. */
const withL1 = (p: Program32Parts) =>
  [
    ownTables(p),
    p.call('vm_assist', 0, abi.VMASST_TYPE_writable_pagetables),
    p.store(p.page(30), p.mfn(4) * 4096 + RW, 0),
    p.store(p.page(31) + 8, p.mfn(30) * 4096 + 0x67, 0),
    map(p, 30, RO),
    map(p, 31, RO),
    update(p, L3, 1, p.mfn(31) * 4096 + 1),
  ].join('\n');
const WITH_L1 = [...OWN, 0, 0, 0, 0];

it('a kernel lets go of the supplied tables, runs on its own and pins them; the old page is writable again', () => {
  const all = results((p) =>
    [
      ownTables(p),
      `mov eax, cr3; sub eax, ${p.mfn(L3) * 4096}; ${p.keep('eax')}`,
      `mov eax, [${p.mfn(3) * 4 + M2P}]; ${p.keep('eax')}`,
      // The old L3, by its address and frame.
      p.startInfo('ebx', PT_BASE),
      `mov eax, ebx; sub eax, ${0xc000_0000}; shr eax, 12; mov ecx, eax`,
      p.startInfo('edx', 68),
      'mov ecx, [edx + ecx * 4]; shl ecx, 12; or ecx, 0x63; xor edx, edx; mov esi, 2; mov eax, 14; int 0x82',
      p.keep('eax'),
      p.startInfo('ebx', PT_BASE),
      `mov [ebx], eax; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([...OWN, 0, 0x203, 0, 0]);
});

it('tables that are mapped writable, lack the last L2 or share it are refused', () => {
  const all = results((p) =>
    [
      copyTables(p),
      ext(p, abi.MMUEXT_NEW_BASEPTR, p.mfn(L3)),
      ext(p, abi.MMUEXT_PIN_L2_TABLE, p.mfn(L2)),
      withoutXen(p),
      map(p, L2, RO),
      map(p, L3, RO),
      // An L2 that is pinned by itself has not Xen's part in it, and the other way round.
      ext(p, abi.MMUEXT_PIN_L2_TABLE, p.mfn(L2)),
      ext(p, abi.MMUEXT_NEW_BASEPTR, p.mfn(L3)),
      ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(L2)),
      ext(p, abi.MMUEXT_NEW_BASEPTR, p.mfn(L3)),
      ext(p, abi.MMUEXT_PIN_L2_TABLE, p.mfn(L2)),
      // Another L3 with the same last L2; one with none; one with XD.
      p.store(p.page(22) + 24, p.mfn(L2) * 4096 + 1, 0),
      map(p, 22, RO),
      ext(p, abi.MMUEXT_PIN_L3_TABLE, p.mfn(22)),
      map(p, 23, RO),
      ext(p, abi.MMUEXT_PIN_L3_TABLE, p.mfn(23)),
      p.store(p.page(24) + 24, p.mfn(25) * 4096 + 1, -0x8000_0000),
      map(p, 24, RO),
      map(p, 25, RO),
      ext(p, abi.MMUEXT_PIN_L3_TABLE, p.mfn(24)),
    ].join('\n'),
  );
  const pinned = [0, EINVAL, 0, 0, EINVAL];
  expect(all).toEqual([EINVAL, EINVAL, 0, 0, ...pinned, 0, EINVAL, 0, EINVAL, 0, 0, EINVAL]);
});

it('an L3 takes an L2 in its first three entries; the last one and what is behind it are not to be changed', () => {
  const all = results((p) =>
    [
      withL1(p),
      // 0x40200000 is now page 4.
      `mov dword ptr [0x40200004], 0x1234; mov eax, [${p.page(4) + 4}]; ${p.keep('eax')}`,
      update(p, L3, 1, 0),
      update(p, L3, 3, p.mfn(31) * 4096 + 1),
      update(p, L3, 4, p.mfn(31) * 4096 + 1),
      update(p, L2, FIRST_XEN_L2_SLOT, 0),
      update(p, L2, 511, 0),
      // RW and US in memory, as the processor needs them.
      `mov eax, [${p.page(L3) + 24}]; and eax, 7; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([...WITH_L1, 0x1234, 0, EINVAL, EINVAL, EPERM, EPERM, 7]);
});

it('a page of zeros serves as the L2 of three entries at once, and is read as a page meanwhile', () => {
  // Linux before 2.6.33 empties the user half of its own L3 by its zero page.
  const entries = (p: Program32Parts, entry: number) =>
    [0, 1, 2].map((slot) => update(p, L3, slot, entry)).join('\n');
  const all = results((p) =>
    [
      ownTables(p),
      map(p, 32, RO),
      entries(p, p.mfn(32) * 4096 + 1),
      map(p, 32, 0x25, 4),
      `mov eax, [${p.page(4)}]; ${p.keep('eax')}`,
      map(p, 32, RW, 4),
      entries(p, 0),
      map(p, 32, RW, 4),
    ].join('\n'),
  );
  expect(all).toEqual([...OWN, 0, 0, 0, 0, 0, 0, EBUSY, 0, 0, 0, 0]);
});

it('there is no fourth level and no second base pointer', () => {
  const all = results((p) =>
    [
      map(p, L3, RO),
      ext(p, abi.MMUEXT_PIN_L4_TABLE, p.mfn(L3)),
      ext(p, abi.MMUEXT_NEW_USER_BASEPTR, p.mfn(L3)),
      ext(p, abi.MMUEXT_NEW_USER_BASEPTR, 0),
    ].join('\n'),
  );
  expect(all).toEqual([0, EINVAL, EINVAL, EINVAL]);
});

it("update_va_mapping takes an entry in two words, and refuses what is Xen's", () => {
  const all = results((p) =>
    [
      map(p, 5, RW, 4),
      `mov dword ptr [${p.page(4)}], 77; mov eax, [${p.page(5)}]; ${p.keep('eax')}`,
      p.call('update_va_mapping', p.page(4), 0x63, 0xffff, abi.UVMF_INVLPG),
      p.call('update_va_mapping', p.page(4), p.mfn(4) * 4096 + RW + 0x80, 0, 0),
      p.call('update_va_mapping', M2P, 0, 0, 0),
      p.call('update_va_mapping', -4096, 0, 0, 0),
      p.call('update_va_mapping', p.page(4), 0, 0, abi.UVMF_INVLPG),
    ].join('\n'),
  );
  expect(all).toEqual([0, 77, EPERM, EINVAL, EINVAL, EINVAL, 0]);
});

it('stores to an L1 table are made by halves, the upper one first, and whole by CMPXCHG8B', () => {
  const all = results((p) =>
    [
      withL1(p),
      // Slot 1: page 5.
      `mov dword ptr [${p.page(30) + 12}], 0; mov dword ptr [${p.page(30) + 8}], ${p.mfn(5) * 4096 + RW}`,
      `mov dword ptr [0x40201000], 55; mov eax, [${p.page(5)}]; ${p.keep('eax')}`,
      // Slot 2: page 6, not executable.
      `xor eax, eax; xor edx, edx; mov ebx, ${p.mfn(6) * 4096 + RW}; mov ecx, 0x80000000; lock cmpxchg8b [${p.page(30) + 16}]`,
      `setz al; movzx eax, al; ${p.keep('eax')}`,
      `mov dword ptr [0x40202000], 66; mov eax, [${p.page(6)}]; ${p.keep('eax')}`,
      // Get and clear: the lower half by XCHG, the upper one by a store.
      `xor eax, eax; xchg [${p.page(30) + 8}], eax; and eax, 1; ${p.keep('eax')}`,
      `mov dword ptr [${p.page(30) + 12}], 0; mov eax, [${p.page(30) + 8}]; ${p.keep('eax')}`,
      // Write-protect and make old by locked bit operations.
      `lock btr dword ptr [${p.page(30) + 16}], 1; mov eax, [${p.page(30) + 16}]; and eax, 3; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([...WITH_L1, 55, 1, 66, 1, 0, 1]);
});

it('an upper half that makes no entry leaves one that is not present', () => {
  const all = results((p) =>
    [
      withL1(p),
      `mov dword ptr [${p.page(30) + 4}], 0xff; mov eax, [${p.page(30)}]; and eax, 1; ${p.keep('eax')}`,
      `mov eax, [${p.page(30) + 4}]; ${p.keep('eax')}`,
      `mov dword ptr [${p.page(30) + 4}], 0; mov dword ptr [${p.page(30)}], ${p.mfn(4) * 4096 + RW}`,
      `mov eax, [${p.page(30)}]; and eax, 3; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([...WITH_L1, 0, 0xff, 3]);
});

it('a table cannot be mapped writable, and a plain store to an L2 is not emulated', () => {
  const { results: all, why } = runProgram32((p) =>
    [
      ownTables(p),
      map(p, L2, RW, 4),
      p.store(p.page(2), 0xe019_000e, 0, 0, 0),
      `mov eax, fault; mov [${p.page(2) + 4}], eax`,
      p.call('set_trap_table', p.page(2)),
      `mov dword ptr [${p.page(L2)}], 0`,
      p.done,
      'fault:',
      `mov eax, [esp]; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(all).toEqual([...OWN, EBUSY, 0, 3]);
});
