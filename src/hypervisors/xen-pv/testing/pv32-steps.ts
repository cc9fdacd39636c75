// Steps that programs of 32-bit PAE guests have in common: requests on page tables, tables of its own, entries, and ring 3.

import * as abi from '../abi.ts';
import type { Program32Parts } from './pv32-guest.ts';

export const SELF = 0x7ff0;
export const PT_BASE = 60;
export const RW = 0x63;
export const RO = 0x61;
/** What ring 3 may use, too. */
export const USER_PAGE = 0x67;
export const IF = 0x200;
/** Pages for an L3 and its L2 with Xen's part. */
export const L3 = 20;
export const L2 = 21;
/** A page for shared_info, the kernel's stack for entries, and the user's. */
export const SHARED = 8;
export const KERNEL_STACK = 10;
export const USER_STACK = 11;
const CODE_PFN = 0x100;
const { FLAT_RING1_CS: CS1, FLAT_RING3_CS: CS3, FLAT_RING3_SS: SS3 } = abi;
const CALLBACKOP_register = 0;

export const map = (p: Program32Parts, page: number, flags: number, at = page): string =>
  p.call('update_va_mapping', p.page(at), p.mfn(page) * 4096 + flags, 0, abi.UVMF_INVLPG);
export const ext = (p: Program32Parts, cmd: number, mfn: number, second = 0): string =>
  [p.store(p.page(0), cmd, mfn, second), p.call('mmuext_op', p.page(0), 1, 0, SELF)].join('\n');
/** A request of mmu_update for an entry of a table in one of the pages. */
export const update = (
  p: Program32Parts,
  table: number,
  slot: number,
  lo: number,
  hi = 0,
): string =>
  [
    p.store(p.page(1), p.mfn(table) * 4096 + slot * 8, 0, lo, hi),
    p.call('mmu_update', p.page(1), 1, 0, SELF),
  ].join('\n');

/** As xen_setup_kernel_pagetable of Linux 2.6.32: a copy of the supplied L2, Xen's entries with it, under an L3 of its own. */
export const copyTables = (p: Program32Parts): string =>
  [
    p.startInfo('esi', PT_BASE),
    `mov edi, ${p.page(L3)}; mov ecx, 8; cld; rep movsd`,
    p.startInfo('esi', PT_BASE),
    `add esi, 0x1000; mov edi, ${p.page(L2)}; mov ecx, 1024; rep movsd`,
    p.store(p.page(L3) + 24, p.mfn(L2) * 4096 + 1, 0),
  ].join('\n');
/** Page 0 gets the operation for the supplied L3, whose frame CR3 tells. */
const ofSupplied = (p: Program32Parts, cmd: number) =>
  [
    p.store(p.page(0), cmd, 0, 0),
    `mov eax, cr3; shr eax, 12; mov [${p.page(0) + 4}], eax`,
    p.call('mmuext_op', p.page(0), 1, 0, SELF),
  ].join('\n');
export const ownTables = (p: Program32Parts): string =>
  [
    copyTables(p),
    map(p, L2, RO),
    map(p, L3, RO),
    ofSupplied(p, abi.MMUEXT_UNPIN_TABLE),
    ext(p, abi.MMUEXT_NEW_BASEPTR, p.mfn(L3)),
    ext(p, abi.MMUEXT_PIN_L3_TABLE, p.mfn(L3)),
  ].join('\n');
/** What the calls of `ownTables` answer. */
export const OWN: readonly number[] = [0, 0, 0, 0, 0];

type Gate = readonly [vector: number, label: string, flags?: number];

/** set_trap_table with these entries; the answer is the next result. */
export const traps = (p: Program32Parts, ...gates: readonly Gate[]): string =>
  [
    ...gates.map(
      ([vector, label, flags = 0], n) =>
        `${p.store(p.page(0) + n * 8, vector | (flags << 8) | (CS1 << 16))}; mov eax, ${label}; mov [${p.page(0) + n * 8 + 4}], eax`,
    ),
    p.store(p.page(0) + gates.length * 8, 0, 0),
    p.call('set_trap_table', p.page(0)),
  ].join('\n');
export const callback = (p: Program32Parts, type: number, label: string): string =>
  [
    p.store(p.page(1), type, CS1),
    `mov eax, ${label}; mov [${p.page(1) + 8}], eax`,
    p.call('callback_op', CALLBACKOP_register, p.page(1)),
  ].join('\n');
export const sharedInfo = (p: Program32Parts): string =>
  [
    p.startInfo('ecx', 36),
    `or ecx, 0x63; mov ebx, ${p.page(SHARED)}; xor edx, edx; mov esi, 2; mov eax, 14; int 0x82`,
  ].join('\n');
/** The user may run the program and use its stack. */
export const openToUser = (p: Program32Parts): string =>
  [
    ...[0, 1].map((n) =>
      p.call(
        'update_va_mapping',
        0xc000_0000 + (CODE_PFN + n) * 4096,
        p.mfnOf(CODE_PFN + n) * 4096 + USER_PAGE,
        0,
        abi.UVMF_INVLPG,
      ),
    ),
    map(p, USER_STACK, USER_PAGE),
    p.call('stack_switch', 0xe020, p.page(KERNEL_STACK) + 0x800),
  ].join('\n');
/** What the calls of `openToUser` answer. */
export const OPEN: readonly number[] = [0, 0, 0, 0];
/** IRET from ring 1 to ring 3, at a label. */
export const toUser = (p: Program32Parts, label: string): string =>
  `push ${SS3}; mov eax, ${p.page(USER_STACK) + 0x800}; push eax; push ${IF}; push ${CS3}; mov eax, ${label}; push eax; iretd`;
