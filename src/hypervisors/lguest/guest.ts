// The guest side of lguest: calls by VMCALL, interrupts by a word in memory, and a report of every change to its page tables.

import { defineGuest, type GuestCode, type GuestOperation } from '../../ops/index.ts';
import {
  GUEST_PL,
  hcallArgs,
  LHCALL,
  LHCALL_RING_SIZE,
  lguestData,
  X86_SUBARCH_LGUEST,
} from './abi.ts';
import { KERNEL_DS } from './descriptors.ts';
import { PAGE_OFFSET } from './first-tables.ts';
import { PDPT_TEXT } from './pae.ts';

type DataField = Parameters<typeof lguestData.offsetOf>[0];
const data = (field: DataField): string => `lguest.data+${lguestData.offsetOf(field)}`;
const ENABLED = data('irq_enabled');
const PENDING = data('irq_pending');
const PGDIR = data('pgdir');
const IF = 0x200;
const CLOCK_VECTOR = 0x20;
const SYSCALL_VECTOR = 0x80;
/** arch/x86/lguest/boot.c (2.6.32), early_put_chars: as much text as one NOTIFY has there. */
const TEXT_BYTES = 16;
const STACK_PAGES = 2;
const [POWEROFF, RESTART] = [1, 2];
const CLOBBERS = ['bx', 'si'] as const;

/** A call; arguments that are null are in EBX, ECX, EDX, ESI already. */
function load(name: keyof typeof LHCALL, args: readonly (string | number | null)[]): string {
  const registers = ['ebx', 'ecx', 'edx', 'esi'];
  const loads = args.flatMap((value, n) =>
    value === null ? [] : [`mov ${registers[n]}, ${value}`],
  );
  return [...loads, `mov eax, ${LHCALL[name]}`].join('; ');
}
const call = (name: keyof typeof LHCALL, ...args: readonly (string | number | null)[]): string =>
  `${load(name, args)}; vmcall`;
/** One that may wait in the ring while a lazy mode is on. */
const lazy = (name: keyof typeof LHCALL, ...args: readonly (string | number | null)[]): string =>
  `${load(name, args)}; call lguest.lazy_call`;

const op = (
  text: string,
  by: string | null = null,
  more: Partial<GuestOperation> = {},
): GuestOperation => ({
  emit: (code) => void code.text(text),
  clobbers: CLOBBERS,
  ...(by !== null && { by }),
  ...more,
});
const byCall = (name: keyof typeof LHCALL, text: string): GuestOperation =>
  op(text, `LHCALL_${name}`);
const batched = (mode: 'cpu' | 'mmu', name: keyof typeof LHCALL, text: string): GuestOperation =>
  op(text, `LHCALL_${name}`, { lazy: mode });
const free = (text: string, by: string): GuestOperation => op(text, by, { clobbers: [] });
const nothing = free('', 'no-op');

/** The entry is in EDX and ECX, its place in EAX. */
const STORE = 'mov [eax+4], ecx; mov [eax], edx';
/** The address in EBX, the entry in EDX and ECX: as SET_PTE has them. */
const REPORT = `mov esi, ecx; mov ecx, ebx; ${lazy('SET_PTE', `[${PGDIR}]`, null, null, null)}`;
const FORGET_ALL = lazy('FLUSH_TLB', 1);
/** The directory and the index of the entry at EAX. */
const REPORT_PMD = `mov ebx, eax; mov ecx, eax; and ebx, 0xfffff000; and ecx, 0xfff; shr ecx, 3; ${lazy('SET_PMD', null, null)}`;
const CLEAR = 'mov dword ptr [eax], 0; mov dword ptr [eax+4], 0';
const DESCRIPTOR = 'mov esi, [ecx]; mov [eax+edx*8], esi; mov ecx, [ecx+4]; mov [eax+edx*8+4], ecx';
const NO_LDT = 'lguest has no LDT: set_ldt does nothing';
const NO_APIC = 'a guest of lguest has no local APIC';

export const lguestGuest = defineGuest({
  id: 'lguest',
  bits: [32],
  traits: {
    kernelRing: GUEST_PL,
    pageTables: 'shadow',
    pc: false,
    privileged: 'fault',
    patching: 'inline',
  },
  start: { label: 'lguest.entry', emit: start, subarchitecture: X86_SUBARCH_LGUEST },
  operations: {
    'cpu.read_cr0': free('mov eax, [lguest.cr0]', 'a copy in memory'),
    'cpu.write_cr0': batched(
      'cpu',
      'TS',
      `mov [lguest.cr0], eax; and eax, 8; mov ebx, eax; ${lazy('TS', null)}`,
    ),
    'cpu.clts': batched('cpu', 'TS', `and dword ptr [lguest.cr0], 0xfffffff7; ${lazy('TS', 0)}`),
    'cpu.read_cr4': free('xor eax, eax', '0'),
    'cpu.write_cr4': nothing,
    'cpu.load_tr_desc': nothing,
    'cpu.load_gdt': {
      emit: (code) => loadTable(code, 'LOAD_GDT_ENTRY'),
      clobbers: ['bx', 'si', 'di'],
      by: 'LHCALL_LOAD_GDT_ENTRY',
    },
    'cpu.load_idt': {
      emit: (code) => loadTable(code, 'LOAD_IDT_ENTRY'),
      clobbers: ['bx', 'si', 'di'],
      by: 'LHCALL_LOAD_IDT_ENTRY',
    },
    // Entries in use may not go: GS is given up first.
    'cpu.load_tls': batched(
      'cpu',
      'LOAD_TLS',
      `xor ecx, ecx; mov gs, cx; mov ebx, eax; ${lazy('LOAD_TLS', null, 0)}`,
    ),
    'cpu.write_gdt_entry': byCall(
      'LOAD_GDT_ENTRY',
      `${DESCRIPTOR}; mov ebx, edx; mov edx, ecx; mov ecx, esi; ${call('LOAD_GDT_ENTRY')}`,
    ),
    'cpu.write_idt_entry': byCall(
      'LOAD_IDT_ENTRY',
      `${DESCRIPTOR}; mov ebx, edx; mov edx, ecx; mov ecx, esi; ${call('LOAD_IDT_ENTRY')}`,
    ),
    'cpu.load_sp0': batched(
      'cpu',
      'SET_STACK',
      `mov ecx, eax; ${lazy('SET_STACK', KERNEL_DS, null, STACK_PAGES)}`,
    ),
    'cpu.wbinvd': nothing,
    'cpu.io_delay': {
      emit: (code) => void code.text('out 0x80, al'),
      by: 'OUT to port 0x80, stepped over',
    },
    'cpu.iret': {
      emit: (code) => void code.text('jmp lguest.iret'),
      by: 'IRET, behind a store to lguest_data.irq_enabled',
    },
    'cpu.start_context_switch': free('mov dword ptr [lguest.lazy], 1', 'a mark in memory'),
    'cpu.end_context_switch': op(
      `mov dword ptr [lguest.lazy], 0; ${call('FLUSH_ASYNC')}`,
      'LHCALL_FLUSH_ASYNC',
      { clobbers: [] },
    ),
    'irq.save_fl': free(`mov eax, [${ENABLED}]`, 'lguest_data.irq_enabled'),
    'irq.restore_fl': { emit: restoreFlags, by: 'lguest_data.irq_enabled' },
    'irq.irq_disable': free(`mov dword ptr [${ENABLED}], 0`, 'lguest_data.irq_enabled'),
    'irq.irq_enable': {
      emit: (code) => {
        code.text(`mov eax, ${IF}`);
        restoreFlags(code);
      },
      by: 'lguest_data.irq_enabled',
    },
    'irq.safe_halt': op(call('HALT'), 'LHCALL_HALT', { clobbers: [] }),
    'irq.halt': op(call('HALT'), 'LHCALL_HALT', { clobbers: [] }),
    'mmu.read_cr2': free(`mov eax, [${data('cr2')}]`, 'lguest_data.cr2'),
    'mmu.read_cr3': free(`mov eax, [${PGDIR}]`, 'lguest_data.pgdir'),
    'mmu.write_cr3': batched(
      'cpu',
      'NEW_PGTABLE',
      `mov [${PGDIR}], eax; mov ebx, eax; ${lazy('NEW_PGTABLE', null)}`,
    ),
    'mmu.flush_tlb_user': batched('mmu', 'FLUSH_TLB', lazy('FLUSH_TLB', 0)),
    'mmu.flush_tlb_kernel': batched('mmu', 'FLUSH_TLB', FORGET_ALL),
    // Of 0, which the host forgets rather than installs.
    'mmu.flush_tlb_single': batched(
      'mmu',
      'SET_PTE',
      `mov ecx, eax; ${lazy('SET_PTE', `[${PGDIR}]`, null, 0, 0)}`,
    ),
    // Whose entry it is nobody knows, so everything is forgotten.
    'mmu.set_pte': batched('mmu', 'FLUSH_TLB', `${STORE}; ${FORGET_ALL}`),
    'mmu.set_pte_at': batched('mmu', 'SET_PTE', `${STORE}; ${REPORT}`),
    'mmu.set_pte_atomic': batched(
      'mmu',
      'FLUSH_TLB',
      `mov esi, eax; mov ebx, edx; mov eax, [esi]; mov edx, [esi+4]; lock cmpxchg8b [esi]; ${FORGET_ALL}`,
    ),
    'mmu.pte_clear': batched('mmu', 'SET_PTE', `${CLEAR}; xor edx, edx; xor ecx, ecx; ${REPORT}`),
    'mmu.set_pmd': batched('mmu', 'SET_PMD', `${STORE}; ${REPORT_PMD}`),
    'mmu.pmd_clear': batched('mmu', 'SET_PMD', `${CLEAR}; ${REPORT_PMD}`),
    'mmu.set_pud': batched(
      'mmu',
      'SET_PGD',
      `${STORE}; mov ebx, eax; mov ecx, eax; and ebx, 0xffffffe0; and ecx, 0x1f; shr ecx, 3; ${lazy('SET_PGD', null, null)}`,
    ),
    'mmu.pte_update': batched('mmu', 'SET_PTE', `mov edx, [eax]; mov ecx, [eax+4]; ${REPORT}`),
    'mmu.ptep_modify_prot_commit': batched('mmu', 'SET_PTE', `${STORE}; ${REPORT}`),
    'mmu.lazy_mode.enter': free('mov dword ptr [lguest.lazy], 1', 'a mark in memory'),
    'mmu.lazy_mode.leave': op(
      `mov dword ptr [lguest.lazy], 0; ${call('FLUSH_ASYNC')}`,
      'LHCALL_FLUSH_ASYNC',
      { clobbers: [] },
    ),
    'time.get_wallclock': free(`mov eax, [${data('time_sec')}]`, 'lguest_data.time'),
    'apic.setup_boot_clock': free(
      `and dword ptr [${data('blocked_interrupts')}], 0xfffffffe`,
      'lguest_data.blocked_interrupts',
    ),
    'machine.power_off': byCall('SHUTDOWN', call('SHUTDOWN', 'lguest.power_down', POWEROFF)),
    'machine.restart': byCall('SHUTDOWN', call('SHUTDOWN', 'lguest.restart', RESTART)),
  },
  cannot: {
    'cpu.get_debugreg': 'lguest leaves them to the host: in ring 1 their MOV faults',
    'cpu.set_debugreg': 'lguest leaves them to the host',
    'cpu.store_gdt': 'SGDT answers with the table of the host',
    'cpu.store_idt': 'SIDT answers with the table of the host',
    'cpu.set_ldt': NO_LDT,
    'cpu.write_ldt_entry': NO_LDT,
    'cpu.alloc_ldt': NO_LDT,
    'cpu.free_ldt': NO_LDT,
    'cpu.set_iopl_mask': 'in ring 1 POPF leaves IOPL as it is, and lguest has no call for it',
    'cpu.irq_enable_sysexit': 'CPUID tells a guest of no SYSENTER and SYSEXIT',
    'mmu.write_cr2': 'only the host writes lguest_data.cr2',
    'time.steal_clock': 'lguest does not tell of time stolen',
    'apic.read': NO_APIC,
    'apic.write': NO_APIC,
    'apic.eoi_write': NO_APIC,
  },
  console: { emit: putByte, clobbers: ['bx', 'si'] },
  clock: {
    vector: CLOCK_VECTOR,
    arm: (code) => void code.text(`mov ebx, eax; ${call('SET_CLOCKEVENT', null)}`),
    acknowledge: () => {},
    clobbers: ['bx'],
  },
  nullCall: op(call('FLUSH_ASYNC'), 'LHCALL_FLUSH_ASYNC', { clobbers: [] }),
  memory: [
    { label: 'lguest.data', bytes: lguestData.size, align: 4096 },
    { label: 'lguest.text', bytes: TEXT_BYTES + 8, align: 8 },
    { label: 'lguest.count', bytes: 4, align: 4 },
    { label: 'lguest.cr0', bytes: 4, align: 4 },
    { label: 'lguest.lazy', bytes: 4, align: 4 },
    { label: 'lguest.next_call', bytes: 4, align: 4 },
  ],
  beside,
});

/** lguest_entry of arch/x86/lguest/i386_head.S (2.6.32), and the data that a kernel has by its initializer. */
function start(code: GuestCode): void {
  const statusAt = lguestData.offsetOf('hcall_status');
  const set = (field: DataField, value: string | number) =>
    code.text(`mov dword ptr [${data(field)}], ${value}`);
  set('blocked_interrupts', 1);
  set('kernel_address', PAGE_OFFSET);
  set('syscall_vec', SYSCALL_VECTOR);
  set('noirq_start', 'lguest.noirq_start');
  set('noirq_end', 'lguest.noirq_end');
  for (let n = 0; n < LHCALL_RING_SIZE; n += 4)
    code.text(`mov dword ptr [lguest.data+${statusAt + n}], 0xffffffff`);
  code.text(`mov [kernel.boot_argument], esi; ${call('LGUEST_INIT', 'lguest.data')}`);
  code.text('mov esp, kernel.stack_top; cld; jmp kernel.main');
}

/** Every entry of a table; EAX is where its limit and base are. */
function loadTable(code: GuestCode, name: 'LOAD_GDT_ENTRY' | 'LOAD_IDT_ENTRY'): void {
  const next = code.fresh('entry');
  code.text('movzx esi, word ptr [eax]; inc esi; shr esi, 3; mov edi, [eax+2]; xor ebx, ebx');
  code.text(`${next}:; mov ecx, [edi+ebx*8]; mov edx, [edi+ebx*8+4]; mov eax, ${LHCALL[name]}`);
  code.text(`vmcall; inc ebx; cmp ebx, esi; jb ${next}`);
}

/** EAX is the new state; what waits is asked for, since only a call makes the host look. */
function restoreFlags(code: GuestCode): void {
  const done = code.fresh('restored');
  code.text(`mov [${ENABLED}], eax; test [${PENDING}], eax; je ${done}`);
  code.text(`${call('SEND_INTERRUPTS')}; ${done}:`);
}

/** A line, or as many characters as a NOTIFY takes, at a time. */
function putByte(code: GuestCode): void {
  const [flush, done] = [code.fresh('text'), code.fresh('text')];
  code.text('mov ecx, [lguest.count]; mov [lguest.text+ecx], al; inc ecx; mov [lguest.count], ecx');
  code.text(`cmp al, 10; je ${flush}; cmp ecx, ${TEXT_BYTES}; jb ${done}; ${flush}:`);
  code.text('mov byte ptr [lguest.text+ecx], 0; mov dword ptr [lguest.count], 0');
  code.text(`${call('NOTIFY', 'lguest.text')}; ${done}:`);
}

function beside(code: GuestCode): void {
  // The whole flags go into the word of which one bit counts; until IRET nothing may come in between.
  code.text('lguest.iret:; push eax; mov eax, [esp+12]; lguest.noirq_start:');
  code.text(`mov [${ENABLED}], eax; pop eax; iretd; lguest.noirq_end:`);
  emitLazyCall(code);
  const text = (label: string, words: string) =>
    code.text(`${label}:`).bytes(...Array.from(words, (c) => c.charCodeAt(0)), 0);
  text('lguest.power_down', 'Power down');
  text('lguest.restart', 'restart');
  // By this a launcher tells a kernel with PAE: here it is nothing else.
  text('lguest.pae', PDPT_TEXT);
}

/** async_hcall of arch/x86/lguest/boot.c (2.6.32): into the ring while a lazy mode is on, unless it is full. */
function emitLazyCall(code: GuestCode): void {
  const [now, wrapped] = [code.fresh('call'), code.fresh('call')];
  const [status, slots] = ['hcall_status', 'hcalls'].map((field) => data(field as DataField));
  code.text(`lguest.lazy_call:; cmp dword ptr [lguest.lazy], 0; je ${now}; push edi; push ebp`);
  // Nobody else may put something in between.
  code.text(`push dword ptr [${ENABLED}]; mov dword ptr [${ENABLED}], 0`);
  const full = code.fresh('full');
  code.text(`mov edi, [lguest.next_call]; cmp byte ptr [${status}+edi], 0xff; jne ${full}`);
  code.text(`lea ebp, [edi+edi*4]; lea ebp, [${slots}+ebp*4]`);
  for (const [n, register] of ['eax', 'ebx', 'ecx', 'edx', 'esi'].entries())
    code.text(`mov [ebp+${n * (hcallArgs.size / 5)}], ${register}`);
  code.text(
    `mov byte ptr [${status}+edi], 0; inc edi; cmp edi, ${LHCALL_RING_SIZE}; jb ${wrapped}`,
  );
  code.text(`xor edi, edi; ${wrapped}:; mov [lguest.next_call], edi`);
  code.text(`pop dword ptr [${ENABLED}]; pop ebp; pop edi; ret`);
  code.text(`${full}:; pop dword ptr [${ENABLED}]; pop ebp; pop edi; ${now}:; vmcall; ret`);
}
