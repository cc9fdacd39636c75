// mmu_update, update_va_mapping and stores to tables: what an entry may become, and who checks it.

import * as abi from '../../../src/hypervisors/xen-pv/abi.ts';
import * as f from '../forms.ts';
import { type Parts, programs, type Value } from '../program.ts';

const REF = 'xen/include/public/xen.h HYPERVISOR_mmu_update';
const VA_REF = 'xen/include/public/xen.h HYPERVISOR_update_va_mapping';
const STORE_REF = 'xen/arch/x86/pv/ro-page-fault.c';
const { P, RW, US, PSE, NX, A, D } = f;
const FRAME = 0xf_ffff_f000n;

/** Page 1 as a pinned L1. */
const table = (p: Parts) => f.pinned(p, 1, 1);
/** The same for a guest that wants its stores made. */
const written = (p: Parts) =>
  f.lines(p.call(f.CALL.vm_assist, 0, abi.VMASST_TYPE_writable_pagetables), table(p));
/** What its first entry has now, without the frame. */
const entry = (p: Parts, slot = 0) => p.keepWord(p.page(1) + slot * 8, FRAME);
const set = (p: Parts, value: Value, command = 0) => f.update(p, p.machine(1, command), value);

const ENTRIES: readonly (readonly [name: string, value: (p: Parts) => Value])[] = [
  ['a page, read-only', (p) => p.machine(2, P)],
  ['a page, writable', (p) => p.machine(2, P | RW)],
  ['a user page', (p) => p.machine(2, P | RW | US)],
  ['a page without execution', (p) => p.machine(2, BigInt(P | RW) | NX)],
  ['a page with accessed and dirty', (p) => p.machine(2, P | RW | A | D)],
  ['a page that is not cached', (p) => p.machine(2, P | RW | f.PCD | f.PWT)],
  ['a global page', (p) => p.machine(2, P | RW | f.G)],
  ['a page with PAT', (p) => p.machine(2, P | RW | PSE)],
  ['a page with available bits', (p) => p.machine(2, P | RW | 0xe00)],
  ['a page with bit 52', (p) => p.machine(2, BigInt(P | RW) | (1n << 52n))],
  ['a page with bits 53 to 58', (p) => p.machine(2, BigInt(P | RW) | (0x3fn << 53n))],
  ['a page with bits 59 to 62', (p) => p.machine(2, BigInt(P | RW) | (0xfn << 59n))],
  ['the table itself, read-only', (p) => p.machine(1, P)],
  ['the table itself, writable', (p) => p.machine(1, P | RW)],
  ['a frame that is not there', () => f.NO_FRAME * 4096 + P],
  ['a frame beyond the address width', () => 0xf_f000_0000_0000n + 1n],
  ['nothing', () => 0],
  ['anything that is not present', () => 0x7654_3210n * 2n],
];

/** Stores of the FPU's registers are not asked about: that Xen itself ends in a fault for them, on QEMU at least. */
const STORES: readonly (readonly [name: string, code: string])[] = [
  ['mov of 8 bytes', 'mov [rbx], rax'],
  ['mov of 4 bytes', 'mov [rbx], eax'],
  ['mov of 2 bytes', 'mov word ptr [rbx], 0'],
  ['mov of a byte', 'mov byte ptr [rbx + 1], 0'],
  ['xchg', 'xchg [rbx], rax'],
  ['cmpxchg that succeeds', 'mov rcx, rax; xor eax, eax; lock cmpxchg [rbx], rcx'],
  ['cmpxchg that fails', 'mov rcx, rax; mov eax, 5; lock cmpxchg [rbx], rcx'],
  [
    'cmpxchg8b',
    'mov rcx, rax; shr rcx, 32; mov rsi, rbx; mov ebx, eax; xor eax, eax; xor edx, edx; lock cmpxchg8b [rsi]',
  ],
  ['lock or', 'lock or qword ptr [rbx], 0x40'],
  ['or', 'or qword ptr [rbx], 0x40'],
  ['lock btr', 'lock btr qword ptr [rbx], 1'],
  ['and of a byte', 'and byte ptr [rbx], 0xfe'],
  ['add', 'add qword ptr [rbx], 0'],
  ['inc', 'inc qword ptr [rbx + 8]'],
  ['stosq', 'mov rdi, rbx; stosq'],
  ['rep stosq', 'mov rdi, rbx; mov ecx, 2; rep stosq'],
  ['movsq', `mov rdi, rbx; mov rsi, rsp; movsq`],
  ['movnti', 'movnti [rbx], rax'],
  ['push', 'lea rsp, [rbx + 8]; push rax'],
  ['not aligned', 'mov [rbx + 4], rax'],
  ['setc', 'setc [rbx]'],
  ['xadd', 'xor ecx, ecx; lock xadd [rbx], rcx'],
];

export const updates = programs('update', [
  ...ENTRIES.flatMap(([name, value]) => [
    f.row(`an entry of a pinned L1: ${name}`, REF, (p) =>
      f.lines(table(p), set(p, value(p)), entry(p)),
    ),
    f.row(`an entry of a plain page: ${name}`, REF, (p) =>
      f.lines(set(p, value(p)), p.keepWord(p.page(1), FRAME)),
    ),
    f.row(`update_va_mapping to ${name}`, VA_REF, (p) =>
      f.lines(f.pinned(p, 1, 1), f.map(p, 3, value(p)), f.tryStore(p, 3)),
    ),
  ]),
  f.row('accessed and dirty are kept by PRESERVE_AD', REF, (p) =>
    f.lines(
      table(p),
      set(p, p.machine(2, P | A | D)),
      set(p, p.machine(2, P), abi.MMU_PT_UPDATE_PRESERVE_AD),
      entry(p),
    ),
  ),
  f.row('PRESERVE_AD on a page that is no table', REF, (p) =>
    f.lines(
      p.store(p.page(1), A | D),
      set(p, p.machine(2, P), abi.MMU_PT_UPDATE_PRESERVE_AD),
      p.keepWord(p.page(1), FRAME),
    ),
  ),
  f.row('no translation', REF, (p) =>
    f.lines(table(p), set(p, p.machine(2, P), abi.MMU_PT_UPDATE_NO_TRANSLATE), entry(p)),
  ),
  ...[4, 5, 6, 7].map((command) =>
    f.row(`command ${command}`, REF, (p) => f.lines(table(p), set(p, 0, command))),
  ),
  f.row('a pointer to a frame that is not there', REF, (p) => f.update(p, f.NO_FRAME * 4096, 0)),
  f.row('the number of a page of its own', REF, (p) =>
    f.lines(
      f.update(p, p.machine(1, abi.MMU_MACHPHYS_UPDATE), 0x77),
      `${p.mfn(1).rax}; mov rcx, 0xffff800000000000; mov rax, [rcx + rax * 8]; ${p.keep('rax')}`,
    ),
  ),
  f.row('the number of a frame that is not there', REF, (p) =>
    f.update(p, f.NO_FRAME * 4096 + 1, 0x77),
  ),
  f.row('two updates, the second wrong, count what was done', REF, (p) =>
    f.lines(
      table(p),
      f.words(p, p.machine(1), p.machine(2, P), p.machine(1, 8), f.NO_FRAME * 4096 + P),
      p.call(f.CALL.mmu_update, p.page(0), 2, p.page(4), f.DOMID_SELF),
      p.keepWord(p.page(4)),
      entry(p),
      entry(p, 1),
    ),
  ),
  f.row('no updates', REF, (p) => p.call(f.CALL.mmu_update, p.page(0), 0, 0, f.DOMID_SELF)),
  f.row('updates at an address that is not mapped', REF, (p) =>
    p.call(f.CALL.mmu_update, f.UNMAPPED, 1, 0, f.DOMID_SELF),
  ),
  f.row('updates in Xen', REF, (p) => p.call(f.CALL.mmu_update, f.XEN, 1, 0, f.DOMID_SELF)),
  f.row('the count at an address that is not mapped', REF, (p) =>
    f.lines(
      f.words(p, p.machine(1), 0),
      p.call(f.CALL.mmu_update, p.page(0), 1, f.UNMAPPED, f.DOMID_SELF),
    ),
  ),
  f.row('for a domain that is not there', REF, (p) => f.update(p, p.machine(1), 0, f.NOBODY)),
  f.row('for the control domain', REF, (p) => f.update(p, p.machine(1), 0, 0)),
  f.row('of another domain’s tables', REF, (p) =>
    f.update(p, p.machine(1), 0, 0x10000 + f.DOMID_SELF),
  ),
  f.row('of the entry that maps a page, by its address', REF, (p) =>
    f.lines(f.update(p, p.pte(3), p.machine(3, P)), f.tryStore(p, 3)),
  ),
  f.row('of a root: an entry of Xen’s slots', REF, (p) =>
    f.lines(f.pinned(p, 1, 4), f.update(p, p.machine(1, 260 * 8), 0)),
  ),
  f.row('of a root: an entry of the first of the kernel’s slots', REF, (p) =>
    f.lines(f.pinned(p, 1, 4), f.update(p, p.machine(1, 272 * 8), 0)),
  ),
  ...([2, 3, 4] as const).flatMap((level) => [
    f.row(`of an L${level}: a table below it`, REF, (p) =>
      f.lines(
        f.pinned(p, 1, level),
        f.remap(p, 2, P),
        set(p, p.machine(2, P | RW | US)),
        f.remap(p, 2, P | RW),
        entry(p),
        set(p, 0),
        f.remap(p, 2, P | RW),
      ),
    ),
    f.row(`of an L${level}: a page that is mapped writable`, REF, (p) =>
      f.lines(f.pinned(p, 1, level), set(p, p.machine(2, P | RW | US))),
    ),
    f.row(`of an L${level}: a large page`, REF, (p) =>
      f.lines(f.pinned(p, 1, level), f.remap(p, 2, P), set(p, p.machine(2, P | US | PSE))),
    ),
    f.row(`of an L${level}: an entry without the user bit`, REF, (p) =>
      f.lines(f.pinned(p, 1, level), f.remap(p, 2, P), set(p, p.machine(2, P | RW)), entry(p)),
    ),
    f.row(`of an L${level}: a store of the guest’s own`, REF, (p) =>
      f.lines(
        f.pinned(p, 1, level),
        p.attempt(`mov rbx, ${p.page(1)}; xor eax, eax; mov [rbx], rax`),
      ),
    ),
  ]),
  f.row('update_va_mapping where there is no table', VA_REF, (p) =>
    p.call(f.CALL.update_va_mapping, f.UNMAPPED, 0, 0),
  ),
  f.row('update_va_mapping of Xen', VA_REF, (p) => p.call(f.CALL.update_va_mapping, f.XEN, 0, 0)),
  f.row('update_va_mapping of what is no address', VA_REF, (p) =>
    p.call(f.CALL.update_va_mapping, f.NOT_CANONICAL, 0, 0),
  ),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((flush) =>
    f.row(`update_va_mapping with flush ${flush}`, VA_REF, (p) =>
      f.lines(f.map(p, 3, p.machine(3, P), flush), f.tryStore(p, 3)),
    ),
  ),
  f.row('update_va_mapping_otherdomain for itself', VA_REF, (p) =>
    p.call(f.CALL.update_va_mapping_otherdomain, p.page(3), p.machine(3, P), 2, f.DOMID_SELF),
  ),
  f.row('update_va_mapping_otherdomain for the control domain', VA_REF, (p) =>
    p.call(f.CALL.update_va_mapping_otherdomain, p.page(3), 0, 2, 0),
  ),
  f.row('update_va_mapping_otherdomain for nobody', VA_REF, (p) =>
    p.call(f.CALL.update_va_mapping_otherdomain, p.page(3), 0, 2, f.NOBODY),
  ),
  ...STORES.map(([name, code]) =>
    f.row(`store to a pinned L1: ${name}`, STORE_REF, (p) =>
      f.lines(
        written(p),
        p.attempt(`${p.machine(2, P | RW).rax}; mov rbx, ${p.page(1)}; ${code}`),
        entry(p),
        entry(p, 1),
      ),
    ),
  ),
  ...(
    [
      ['a frame that is not there', () => f.NO_FRAME * 4096 + P],
      ['the table itself, writable', (p) => p.machine(1, P | RW)],
      ['the table itself, read-only', (p) => p.machine(1, P)],
      ['a page with PAT', (p) => p.machine(2, P | PSE)],
      ['what is not present', () => 0x1234_5678_9abc_def0n],
    ] as readonly (readonly [string, (p: Parts) => Value])[]
  ).map(([name, value]) =>
    f.row(`store to a pinned L1 of ${name}`, STORE_REF, (p) => {
      const place = value(p);
      const rax = typeof place === 'object' ? place.rax : `mov rax, ${place}`;
      return f.lines(
        written(p),
        p.attempt(`${rax}; mov rbx, ${p.page(1)}; mov [rbx], rax`),
        entry(p),
      );
    }),
  ),
  f.row('store to a pinned L1 of a guest that has not asked for it', STORE_REF, (p) =>
    f.lines(
      p.call(f.CALL.vm_assist, 1, abi.VMASST_TYPE_writable_pagetables),
      table(p),
      p.attempt(`xor eax, eax; mov rbx, ${p.page(1)}; mov [rbx], rax`),
    ),
  ),
  f.row('store to a read-only page that is no table', STORE_REF, (p) =>
    f.lines(f.remap(p, 3, P), f.tryStore(p, 3)),
  ),
  f.row('store to the machine-to-physical table', STORE_REF, (p) =>
    p.attempt('mov rbx, 0xffff800000000000; mov [rbx], rbx'),
  ),
]);
