// Steps that a 32-bit PAE kernel takes one behind another on its way up: tables, address spaces, rings, and its first program.

import { expect, it } from 'vitest';
import { EVTCHNOP_bind_ipi, EVTCHNOP_send } from '../xen/abi/event-channel.ts';
import * as abi from './abi.ts';
import type { Outcome } from './testing/pv-guest.ts';
import { type Program32Parts, runProgram32 } from './testing/pv32-guest.ts';
import * as step from './testing/pv32-steps.ts';

const { ext, L2, L3, map, OWN, ownTables, RO, RW, SELF, SHARED } = step;
const EINVAL = -22;
const EBUSY = -16;
const HYPERVISOR = { update_va_mapping: 14, mmuext_op: 26 } as const;
/** start_info of 32-bit guests (xen.h). */
const AT = { storeMfn: 44, storePort: 48, consoleMfn: 52, consolePort: 56, ptBase: 60 } as const;

function run(program: (p: Program32Parts) => string): Outcome {
  const outcome = runProgram32((p) => `${program(p)}\n${p.done}`, { budget: 100_000 });
  expect(outcome.why).toContain('poweroff');
  return outcome;
}
const results = (program: (p: Program32Parts) => string): number[] => run(program).results;

/** Keeps the word at an address. */
const word = (p: Program32Parts, va: number) => `mov eax, [${va}]; ${p.keep('eax')}`;
/** Maps the frame of a ring, which start_info tells, at page 12. */
const mapRing = (p: Program32Parts, at: number) =>
  [
    p.startInfo('ecx', at),
    `shl ecx, 12; or ecx, ${RW}; mov ebx, ${p.page(12)}; xor edx, edx; mov esi, ${abi.UVMF_INVLPG}`,
    `mov eax, ${HYPERVISOR.update_va_mapping}; int 0x82; ${p.keep('eax')}`,
  ].join('\n');
/** Tells the other end of a port that start_info names. */
const tell = (p: Program32Parts, at: number) =>
  [
    p.startInfo('ecx', at),
    `mov [${p.page(0)}], ecx; ${p.call('event_channel_op', EVTCHNOP_send, p.page(0))}`,
  ].join('\n');
/** Entries of a multicall in page 2, each with its result kept behind the call's. */
function multicall(p: Program32Parts, calls: readonly (readonly number[])[]): string {
  const words = calls.flatMap(([op = 0, ...args]) => {
    const rest = new Array<number>(6 - args.length).fill(0);
    return [op, -1, ...args, ...rest];
  });
  return [
    p.store(p.page(2), ...words),
    p.call('multicall', p.page(2), calls.length),
    ...calls.map((_, n) => word(p, p.page(2) + n * 32 + 4)),
  ].join('\n');
}
const remap = (p: Program32Parts, page: number, flags: number) =>
  [HYPERVISOR.update_va_mapping, p.page(page), p.mfn(page) * 4096 + flags, 0, 0] as const;

it('its text is mapped writable, as it patches itself', () => {
  const all = results((p) =>
    [
      // The operand of a MOV.
      'mov eax, patched; mov dword ptr [eax + 1], 0x1234; jmp over',
      'over:',
      'patched:',
      'mov eax, 0x11111111',
      p.keep('eax'),
    ].join('\n'),
  );
  expect(all).toEqual([0x1234]);
});

it('the supplied L3 has a page of its own, so that CR3 can hold its address', () => {
  const all = results((p) =>
    [
      p.startInfo('eax', AT.ptBase),
      `and eax, 0xfff; ${p.keep('eax')}`,
      p.startInfo('ecx', AT.ptBase),
      `mov eax, [ecx + 32]; or eax, [ecx + 4092]; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([0, 0]);
});

it('features are those of a guest that keeps its own tables, and extended CR3 as long as that is on', () => {
  const features = (p: Program32Parts) =>
    [p.store(p.page(0), 0, 0), p.call('xen_version', 6, p.page(0)), word(p, p.page(0) + 4)].join(
      '\n',
    );
  const all = results((p) =>
    [
      features(p),
      p.call('vm_assist', 1, abi.VMASST_TYPE_pae_extended_cr3),
      features(p),
      p.call('vm_assist', 0, abi.VMASST_TYPE_pae_extended_cr3),
      features(p),
    ].join('\n'),
  );
  const writableTables = 1 << 0;
  const translated = 1 << 2;
  const extendedCr3 = 1 << 4;
  const preservesAd = 1 << 5;
  const shown = (n: number) => all[n]! & (writableTables | translated | extendedCr3 | preservesAd);
  expect([0, 2, 3, 5, 6].map((n) => all[n])).toEqual([0, 0, 0, 0, 0]);
  expect([shown(1), shown(4), shown(7)]).toEqual([
    preservesAd | extendedCr3,
    preservesAd,
    preservesAd | extendedCr3,
  ]);
});

it('a second GDT takes the place of the first, whose page is writable again', () => {
  const all = results((p) =>
    [
      ...[2, 3].flatMap((page) => [
        map(p, page, RO),
        p.store(p.page(0), p.mfn(page)),
        p.call('set_gdt', p.page(0), 32),
      ]),
      map(p, 3, RW),
      map(p, 2, RW),
    ].join('\n'),
  );
  expect(all).toEqual([0, 0, 0, 0, EBUSY, 0]);
});

it('an L1 is pinned before it hangs anywhere, holds its pages, and is a page again when it is let go', () => {
  const all = results((p) =>
    [
      p.call('vm_assist', 0, abi.VMASST_TYPE_writable_pagetables),
      p.store(p.page(30), p.mfn(4) * 4096 + RW, 0),
      map(p, 30, RO),
      ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(30)),
      map(p, 30, RW),
      // What it maps writable is no table, though the kernel's own mapping is read-only.
      map(p, 4, RO),
      ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(4)),
      // A store is checked and made, though no L2 has it yet.
      step.update(p, 30, 1, p.mfn(5) * 4096 + RW),
      word(p, p.page(30) + 8),
      ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(30)),
      map(p, 30, RW),
      ext(p, abi.MMUEXT_PIN_L1_TABLE, p.mfn(4)),
    ].join('\n'),
  );
  const [mapped] = all.splice(7, 1);
  expect(all).toEqual([0, 0, 0, EBUSY, 0, EINVAL, 0, 0, 0, 0]);
  expect(mapped! & 0xfff).toBe(RW);
});

it('updates of upper levels come many in a call, and how many were made is told', () => {
  const all = results((p) => {
    const entry = (slot: number, value: number) => [p.mfn(L3) * 4096 + slot * 8, 0, value, 0];
    const requests = [entry(0, p.mfn(31) * 4096 + 1), entry(1, p.mfn(32) * 4096 + 1), entry(3, 0)];
    return [
      ownTables(p),
      map(p, 31, RO),
      map(p, 32, RO),
      p.store(p.page(1), ...requests.flat()),
      p.store(p.page(0), 99),
      p.call('mmu_update', p.page(1), 2, p.page(0), SELF),
      word(p, p.page(0)),
      // The third cannot be made: those before it stay.
      p.call('mmu_update', p.page(1), 3, p.page(0), SELF),
      word(p, p.page(0)),
    ].join('\n');
  });
  expect(all).toEqual([...OWN, 0, 0, 0, 2, EINVAL, 2]);
});

it('its console takes a line from the ring when the port is told', () => {
  const { results: all, output } = run((p) =>
    [
      mapRing(p, AT.consoleMfn),
      // struct xencons_interface (io/console.h): out from 1024 on, out_prod at 3084.
      p.store(p.page(12) + 1024, 0x0a_21_69_68),
      p.store(p.page(12) + 3084, 4),
      tell(p, AT.consolePort),
      word(p, p.page(12) + 3080),
    ].join('\n'),
  );
  expect([all, output]).toEqual([[0, 0, 4], 'hi!\n']);
});

it('its store answers a request on the ring', () => {
  const READ = 2;
  const all = results((p) =>
    [
      mapRing(p, AT.storeMfn),
      // struct xsd_sockmsg and "name\0" (io/xs_wire.h); req_prod is at 2052, rsp_prod at 2060.
      p.store(p.page(12), READ, 7, 0, 5, 0x656d_616e, 0),
      p.store(p.page(12) + 2052, 21),
      tell(p, AT.storePort),
      `answer:; cmp dword ptr [${p.page(12) + 2060}], 16; jb answer`,
      ...[0, 4, 8].map((at) => word(p, p.page(12) + 1024 + at)),
      word(p, p.page(12) + 2048),
    ].join('\n'),
  );
  expect(all).toEqual([0, 0, READ, 7, 0, 21]);
});

it('the clocks of shared_info lie where words of 32 bits put them, and stand still to be read', () => {
  const all = results((p) =>
    [
      step.sharedInfo(p),
      // vcpu_time_info: version, tsc_to_system_mul, tsc_shift; behind the bits of events wc_version, wc_sec.
      `mov eax, [${p.page(SHARED) + 32}]; and eax, 1; ${p.keep('eax')}`,
      word(p, p.page(SHARED) + 56),
      `movzx eax, byte ptr [${p.page(SHARED) + 60}]; ${p.keep('eax')}`,
      `mov eax, [${p.page(SHARED) + 2304}]; and eax, 1; ${p.keep('eax')}`,
      `mov eax, [${p.page(SHARED) + 2304}]; and eax, eax; setnz al; movzx eax, al; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([0, 0x8000_0000 | 0, 1, 0, 1]);
});

it('an IPI that it sends to itself pends, and enters when events are let in', () => {
  const all = results((p) =>
    [
      step.sharedInfo(p),
      step.callback(p, abi.CALLBACKTYPE_event, 'upcall'),
      p.store(p.page(2), 0, 0),
      p.call('event_channel_op', EVTCHNOP_bind_ipi, p.page(2)),
      `mov ecx, [${p.page(2) + 4}]; mov [${p.page(3)}], ecx; btr dword ptr [${p.page(SHARED) + 2176}], ecx`,
      p.call('event_channel_op', EVTCHNOP_send, p.page(3)),
      `movzx eax, word ptr [${p.page(SHARED)}]; ${p.keep('eax')}`,
      // What xen_iret and irq_enable do: the mask is cleared, then a call looks (xen_version 0).
      `mov byte ptr [${p.page(SHARED) + 1}], 0; xor ebx, ebx; xor ecx, ecx; mov eax, 17; int 0x82; mov edi, 9`,
      p.done,
      'upcall:',
      `bt dword ptr [${p.page(SHARED) + 2048}], ecx; mov ecx, [${p.page(3)}]; bt dword ptr [${p.page(SHARED) + 2048}], ecx; setc al; movzx eax, al; ${p.keep('eax')}`,
    ].join('\n'),
  );
  expect(all).toEqual([0, 0, 0, 0x101, 1]);
});

/** Pages of a process: L3, its copy of the kernel's L2, an L2 and an L1 of its own, and the page that it runs in. */
const CHILD = { l3: 40, kernelL2: 41, l2: 42, l1: 43, page: 44 } as const;
const TABLES = [CHILD.l3, CHILD.kernelL2, CHILD.l2, CHILD.l1] as const;
/** Where the process runs: slot 1 of the L3, 0 of the L2, 0 of the L1. */
const USER_VA = 0x4000_0000;

/** As pgd_alloc and xen_pgd_pin of Linux 2.6.32: filled, made read-only by one multicall, pinned by another. */
const makeProcess = (p: Program32Parts) =>
  [
    `mov esi, ${p.page(L2)}; mov edi, ${p.page(CHILD.kernelL2)}; mov ecx, 1024; cld; rep movsd`,
    p.store(p.page(CHILD.l3) + 8, p.mfn(CHILD.l2) * 4096 + 1, 0),
    p.store(p.page(CHILD.l3) + 24, p.mfn(CHILD.kernelL2) * 4096 + 1, 0),
    p.store(p.page(CHILD.l2), p.mfn(CHILD.l1) * 4096 + 0x67, 0),
    p.store(p.page(CHILD.l1), p.mfn(CHILD.page) * 4096 + step.USER_PAGE, 0),
    p.store(p.page(0), abi.MMUEXT_PIN_L3_TABLE, p.mfn(CHILD.l3), 0),
    multicall(p, [
      ...TABLES.map((page) => remap(p, page, RO)),
      [HYPERVISOR.mmuext_op, p.page(0), 1, 0, SELF],
    ]),
  ].join('\n');
/** The multicall, its entries. */
const MADE = [0, 0, 0, 0, 0, 0];

it('a process has tables of its own: made read-only and pinned in one multicall, run in ring 3, and taken down', () => {
  const all = results((p) =>
    [
      ownTables(p),
      // INT 0x80, behind MOV ECX, 0x55.
      p.store(p.page(CHILD.page), 0x0000_55b9, 0x0080_cd00),
      makeProcess(p),
      step.sharedInfo(p),
      step.openToUser(p),
      step.traps(p, [0x80, 'entry', 3]),
      p.store(p.page(0), abi.MMUEXT_NEW_BASEPTR, p.mfn(CHILD.l3), 0),
      multicall(p, [[HYPERVISOR.mmuext_op, p.page(0), 1, 0, SELF]]),
      `mov eax, cr3; sub eax, ${p.mfn(CHILD.l3) * 4096}; ${p.keep('eax')}`,
      // The iret call, for a program's first instruction.
      `push ${abi.FLAT_RING3_SS}; mov eax, ${USER_VA + 0x800}; push eax; push ${step.IF}; push ${abi.FLAT_RING3_CS}; push ${USER_VA}; push 0; mov eax, 23; int 0x82`,
      'entry:',
      `mov eax, ${abi.FLAT_RING1_DS}; mov ds, ax; mov es, ax; ${p.keep('ecx')}`,
      ...[0, 12].map((at) => `mov eax, [esp + ${at}]; ${p.keep('eax')}`),
      // exit_mmap: back to the kernel's tables, then the pages are its own again.
      ext(p, abi.MMUEXT_NEW_BASEPTR, p.mfn(L3)),
      map(p, CHILD.l1, RW),
      ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(CHILD.l3)),
      ...TABLES.map((page) => map(p, page, RW)),
    ].join('\n'),
  );
  const entered = [0x55, USER_VA + 7, USER_VA + 0x800];
  expect(all).toEqual([
    ...[...OWN, ...MADE, ...step.OPEN, 0],
    ...[0, 0, 0, ...entered],
    ...[0, EBUSY, 0, 0, 0, 0, 0],
  ]);
});

it('a multicall of 32 remaps makes all of them', () => {
  const pages = Array.from({ length: 32 }, (_, n) => 20 + n);
  const all = results((p) =>
    [
      // 32 entries are 1024 bytes; the pages that follow are read-only then, so that a store faults.
      multicall(
        p,
        pages.map((page) => remap(p, page, RO)),
      ),
      step.traps(p, [14, 'fault']),
      `mov dword ptr [${p.page(51)}], 1`,
      p.done,
      'fault:',
      word(p, p.page(51)),
    ].join('\n'),
  );
  expect(all).toEqual([0, ...pages.map(() => 0), 0, 0]);
});
