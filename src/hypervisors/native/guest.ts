// The guest side of bare hardware: every operation as the instruction that it is; what other bindings leave as it is.

import { defineGuest, type GuestCode, type GuestOperation } from '../../ops/index.ts';
import {
  APIC,
  APIC_END_OF_INTERRUPT,
  CLOCK_VECTOR,
  nativePc,
  storeApic,
} from '../hw/native-guest.ts';

const op = (text: string): GuestOperation => ({ emit: (code) => code.text(text) });
/** By word size, where more than the names of registers differs. */
const both = (on32: string, on64: string): GuestOperation => ({
  emit: (code) => code.text(code.bits === 64 ? on64 : on32),
});
const nothing = op('');
const STORE = both('mov [eax+4], ecx; mov [eax], edx', 'mov [rax], rdx');
const CLEAR = both('mov dword ptr [eax], 0; mov dword ptr [eax+4], 0', 'mov qword ptr [rax], 0');
const DESCRIPTOR = both(
  'push ebx; mov ebx, [ecx]; mov [eax+edx*8], ebx; mov ebx, [ecx+4]; mov [eax+edx*8+4], ebx; pop ebx',
  'push rbx; mov rbx, [rcx]; mov [rax+rdx*8], rbx; pop rbx',
);
const [APIC_SPIV, APIC_LVTT, APIC_TDCR] = [0xf0, 0x320, 0x3e0];
const CR4_PGE = 0x80;

export const nativeGuest = defineGuest({
  ...nativePc,
  id: 'native',
  operations: {
    'cpu.read_cr0': op('mov {ax}, cr0'),
    'cpu.write_cr0': op('mov cr0, {ax}'),
    'cpu.clts': op('clts'),
    'cpu.read_cr4': op('mov {ax}, cr4'),
    'cpu.write_cr4': op('mov cr4, {ax}'),
    'cpu.read_cr8': { ...op('mov rax, cr8'), only: 64 },
    'cpu.write_cr8': { ...op('mov cr8, rax'), only: 64 },
    'cpu.get_debugreg': debugRegister((n) => `mov {ax}, dr${n}`),
    'cpu.set_debugreg': debugRegister((n) => `mov dr${n}, {dx}`),
    'cpu.load_tr_desc': op('mov eax, 0x80; ltr ax'),
    'cpu.load_gdt': op('lgdt [{ax}]'),
    'cpu.load_idt': op('lidt [{ax}]'),
    'cpu.store_gdt': op('sgdt [{ax}]'),
    'cpu.store_idt': op('sidt [{ax}]'),
    'cpu.store_tr': op('xor eax, eax; str ax'),
    'cpu.set_ldt': { emit: setLdt },
    'cpu.load_tls': { emit: loadTls },
    'cpu.load_gs_index': { emit: loadGsIndex, only: 64 },
    'cpu.write_gdt_entry': DESCRIPTOR,
    'cpu.write_ldt_entry': DESCRIPTOR,
    // Gates are of 8 bytes on 32 bits and of 16 on 64.
    'cpu.write_idt_entry': both(
      'push ebx; mov ebx, [ecx]; mov [eax+edx*8], ebx; mov ebx, [ecx+4]; mov [eax+edx*8+4], ebx; pop ebx',
      'push rbx; shl rdx, 4; mov rbx, [rcx]; mov [rax+rdx], rbx; mov rbx, [rcx+8]; mov [rax+rdx+8], rbx; pop rbx',
    ),
    'cpu.alloc_ldt': nothing,
    'cpu.free_ldt': nothing,
    'cpu.load_sp0': op('mov [kernel.tss+4], {ax}'),
    'cpu.set_iopl_mask': both(
      'pushfd; and dword ptr [esp], 0xffffcfff; or [esp], eax; popfd',
      'pushfq; and qword ptr [rsp], 0xffffffffffffcfff; or [rsp], rax; popfq',
    ),
    'cpu.wbinvd': op('wbinvd'),
    'cpu.io_delay': op('out 0x80, al'),
    'cpu.cpuid': { emit: (code) => code.text('cpuid'), clobbers: [] },
    'cpu.read_msr': guarded('rdmsr'),
    'cpu.write_msr': guarded('wrmsr'),
    'cpu.read_tsc': op('rdtsc'),
    'cpu.read_tscp': op('rdtscp'),
    'cpu.read_pmc': op('rdpmc'),
    'cpu.iret': both('iretd', 'iretq'),
    'cpu.usergs_sysret64': { ...op('swapgs; o64 sysret'), only: 64 },
    'cpu.usergs_sysret32': { ...op('swapgs; sysret'), only: 64 },
    'cpu.irq_enable_sysexit': { ...op('sti; sysexit'), only: 32 },
    'cpu.swapgs': { ...op('swapgs'), only: 64 },
    'cpu.start_context_switch': nothing,
    'cpu.end_context_switch': nothing,
    'irq.save_fl': both('pushfd; pop eax', 'pushfq; pop rax'),
    'irq.restore_fl': both('push eax; popfd', 'push rax; popfq'),
    'irq.irq_disable': op('cli'),
    'irq.irq_enable': op('sti'),
    'irq.safe_halt': op('sti; hlt'),
    'irq.halt': op('hlt'),
    'irq.adjust_exception_frame': nothing,
    'mmu.read_cr2': op('mov {ax}, cr2'),
    'mmu.write_cr2': op('mov cr2, {ax}'),
    'mmu.read_cr3': op('mov {ax}, cr3'),
    'mmu.write_cr3': op('mov cr3, {ax}'),
    'mmu.flush_tlb_user': op('mov {ax}, cr3; mov cr3, {ax}'),
    'mmu.flush_tlb_kernel': op(
      `mov {ax}, cr4; mov {dx}, {ax}; and {ax}, ${~CR4_PGE}; mov cr4, {ax}; mov cr4, {dx}`,
    ),
    'mmu.flush_tlb_single': op('invlpg [{ax}]'),
    'mmu.set_pte': STORE,
    'mmu.set_pte_at': STORE,
    'mmu.set_pte_atomic': both(
      'push ebx; push esi; mov esi, eax; mov ebx, edx; mov eax, [esi]; mov edx, [esi+4]; lock cmpxchg8b [esi]; pop esi; pop ebx',
      'xchg [rax], rdx',
    ),
    'mmu.pte_clear': CLEAR,
    'mmu.set_pmd': STORE,
    'mmu.pmd_clear': CLEAR,
    'mmu.set_pud': STORE,
    'mmu.set_pgd': { ...STORE, only: 64 },
    'mmu.pte_update': nothing,
    'mmu.ptep_modify_prot_start': both(
      'mov ecx, eax; xor eax, eax; xchg [ecx], eax; mov edx, [ecx+4]',
      'mov rcx, rax; xor eax, eax; xchg [rcx], rax',
    ),
    'mmu.ptep_modify_prot_commit': STORE,
    'mmu.alloc_pte': nothing,
    'mmu.alloc_pmd': nothing,
    'mmu.alloc_pud': nothing,
    'mmu.release_pte': nothing,
    'mmu.release_pmd': nothing,
    'mmu.release_pud': nothing,
    'mmu.pgd_alloc': nothing,
    'mmu.pgd_free': nothing,
    'mmu.activate_mm': nothing,
    'mmu.exit_mmap': nothing,
    'mmu.make_pte': nothing,
    'mmu.pte_val': nothing,
    'mmu.lazy_mode.enter': nothing,
    'mmu.lazy_mode.leave': nothing,
    'time.sched_clock': op('rdtsc'), // At the nominal 1 GHz of this machine, which is what outside machines differ in.
    'time.steal_clock': op('xor eax, eax; xor edx, edx'),
    'apic.read': op(`mov ecx, ${APIC}; mov eax, [{cx}+{ax}]`),
    'apic.write': op(`mov ecx, ${APIC}; mov [{cx}+{ax}], edx`),
    'apic.eoi_write': op(APIC_END_OF_INTERRUPT),
    // Enabled, spurious vector 0xff (SDM 3A 11.9); one shot, divided by 1 (11.5.4).
    'apic.setup_boot_clock': op(
      [
        storeApic(APIC_SPIV, 0x1ff),
        storeApic(APIC_TDCR, 0xb),
        storeApic(APIC_LVTT, CLOCK_VECTOR),
      ].join('; '),
    ),
    'machine.power_off': { emit: powerOff },
    'machine.restart': op('mov al, 0xfe; out 0x64, al; hlt'),
  },
  cannot: { 'time.get_wallclock': 'the kernel has no driver for the CMOS clock' },
  // There is nobody to call: the instruction that leaves every virtual machine.
  nullCall: { emit: (code) => code.text('push {bx}; xor eax, eax; cpuid; pop {bx}') },
});

/** DR0 to DR3, DR6 and DR7: the number is part of the instruction. */
function debugRegister(move: (n: number) => string): GuestOperation {
  return {
    emit(code) {
      const done = code.fresh('debug');
      code.text('mov ecx, eax');
      for (const n of [0, 1, 2, 3, 6, 7]) {
        const next = code.fresh('debug');
        code.text(`cmp ecx, ${n}; jne ${next}; ${move(n)}; jmp ${done}; ${next}:`);
      }
      code.text(`${done}:`);
    },
  };
}

/** An MSR that is not there faults; its caller gets an error instead. */
function guarded(instruction: string): GuestOperation {
  return {
    emit(code) {
      const [refused, done] = [code.fresh('refused'), code.fresh('done')];
      code.catching(instruction, refused);
      code.text(`xor ecx, ecx; jmp ${done}; ${refused}:; mov ecx, 1; ${done}:`);
    },
  };
}

/** A descriptor of 8 bytes, or of 16 on 64 bits, for the selector 0x90 (SDM 3A 3.4.5, 7.2.3). */
function setLdt(code: GuestCode): void {
  const [none, done] = [code.fresh('ldt'), code.fresh('ldt')];
  code.text(
    `test edx, edx; je ${none}; shl edx, 3; dec edx; mov ecx, eax; shl ecx, 16; or ecx, edx`,
  );
  code.text(
    'mov [kernel.gdt+0x90], ecx; mov ecx, eax; shr ecx, 16; mov edx, eax; and edx, 0xff000000',
  );
  code.text('and ecx, 0xff; or edx, ecx; or edx, 0x8200; mov [kernel.gdt+0x94], edx');
  if (code.bits === 64) code.text('mov qword ptr [kernel.gdt+0x98], 0');
  code.text(`mov eax, 0x90; lldt ax; jmp ${done}; ${none}:; xor eax, eax; lldt ax; ${done}:`);
}

/** A selector that cannot be loaded becomes 0 (arch/x86/kernel/entry_64.S 2.6.32, bad_gs). */
function loadGsIndex(code: GuestCode): void {
  const [bad, done] = [code.fresh('gs'), code.fresh('gs')];
  code.text('swapgs').catching('mov gs, ax', bad);
  code.text(`jmp ${done}; ${bad}:; xor eax, eax; mov gs, ax; ${done}:; swapgs`);
}

function loadTls(code: GuestCode): void {
  for (let n = 0; n < 24; n += 4)
    code.text(`mov edx, [{ax}+${n}]; mov [kernel.gdt+${0x30 + n}], edx`);
}

/** Without ACPI there is no way but to fall: an exception with no table to go by shuts the processor down (SDM 3A 6.15). */
function powerOff(code: GuestCode): void {
  const record = code.fresh('off');
  const over = code.fresh('off');
  code.text(`jmp ${over}; ${record}:`).dd(0, 0, 0).text(`${over}:; lidt [${record}]; int3`);
}
