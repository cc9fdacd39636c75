// The guest's side of an interface: how a kernel finds it, enters by it, and does each operation with it.

import type { OperationId } from './index.ts';

/**
 * Where a binding's code goes. Text is Intel syntax as the assembler takes it, a line or `;` at a time, `name:` binding a label.
 * `{ax}` and its kind stand for a register of the kernel's word (`eax`, `rax`), `{word}` for its size (`dword`, `qword`),
 * `{dw}` for the directive of a word. Labels of data are addresses: linked where they run, below 2 GiB.
 */
export interface GuestCode {
  readonly bits: 32 | 64;
  text(source: string): this;
  bytes(...data: readonly (number | Uint8Array)[]): this;
  align(bytes: number): this;
  /** Words of 4 or 8 bytes: numbers, or names of labels. */
  dd(...values: readonly (number | bigint | string)[]): this;
  dq(...values: readonly (number | bigint | string)[]): this;
  /** A label that nobody else has. */
  fresh(stem: string): string;
  /** One instruction; if it faults, the guest goes on at the label, with the stack as it was. */
  catching(instruction: string, label: string): this;
  /** A call site of an operation, as the kernel's own: through paravirt_ops, and patched where that is allowed. */
  op(id: GuestOperationId): this;
}

/** What the kernel has to offer to a binding, as labels in its data or code. */
export const KERNEL_LABELS = {
  /** A page-aligned stack of four pages; its end. */
  stackTop: 'kernel.stack_top',
  /** The kernel goes on here once its stub has a stack, flat segments and paging over the image, one to one. */
  main: 'kernel.main',
  /**
   * A trap or interrupt comes here, with its vector and error code (or 0) pushed over what `irq.adjust_exception_frame` leaves:
   * vector, error, IP, CS, flags [, SP, SS]. All registers are kept.
   */
  trap: 'kernel.trap',
  /** Handlers for `KERNEL_VECTORS` vectors; one word each. They expect the frame of hardware, or call adjust_exception_frame. */
  trapTable: 'kernel.trap_table',
  /** What the interrupt of the clock does: counts up this 32-bit word. */
  ticks: 'kernel.ticks',
  /** Physical address (or start_info) that the entry was given: one word. */
  bootArgument: 'kernel.boot_argument',
  /** The kernel's GDT: Linux's, 32 entries, kernel code and data at 12 and 13. Page aligned, in a page of its own. */
  gdt: 'kernel.gdt',
  /** The IDT for hardware: 256 gates, filled, page aligned. */
  idt: 'kernel.idt',
  tss: 'kernel.tss',
  /** Below the image, and behind it: what the kernel occupies. */
  imageStart: 'kernel.image_start',
  imageEnd: 'kernel.image_end',
} as const;

/** Vectors that have handlers: the exceptions, 16 interrupts from 0x20 on, and 0x80. */
export const KERNEL_VECTORS = 0x81;
/** Selectors in the kernel's GDT, without RPL (Linux: include/asm-x86/segment.h 2.6.32). */
export const KERNEL_SELECTORS = {
  code: 0x60,
  data: 0x68,
  userCode: 0x70,
  userData: 0x78,
  tss: 0x80,
  ldt: 0x90,
} as const;

/**
 * The calling convention. Arguments come in these registers, answers go out by them; AX, DX and CX are lost, all else is kept
 * unless the row says so. `entry` is a page-table entry of 8 bytes: one register on 64 bits; on 32 its low half in the first and its
 * high half in the second register named. Page tables are PAE's on 32 bits. Addresses are words.
 */
export const GUEST_CALLS = {
  'cpu.read_cr0': '→ ax',
  'cpu.write_cr0': 'ax',
  'cpu.clts': '',
  'cpu.read_cr4': '→ ax',
  'cpu.write_cr4': 'ax',
  'cpu.read_cr8': '→ ax; 64 bits only',
  'cpu.write_cr8': 'ax; 64 bits only',
  'cpu.get_debugreg': 'ax: number → ax',
  'cpu.set_debugreg': 'ax: number, dx: value',
  'cpu.load_tr_desc': 'the TSS of the kernel',
  'cpu.load_gdt': 'ax: address of limit (2 bytes) and base (a word)',
  'cpu.load_idt': 'ax: address of limit and base',
  'cpu.store_gdt': 'ax: where limit and base go',
  'cpu.store_idt': 'ax: where limit and base go',
  'cpu.store_tr': '→ ax',
  'cpu.set_ldt': 'ax: base, dx: entries',
  'cpu.load_tls': 'ax: address of three descriptors',
  'cpu.load_gs_index': 'ax: selector',
  'cpu.write_gdt_entry': 'ax: table, dx: index, cx: address of the descriptor',
  'cpu.write_ldt_entry': 'ax: table, dx: index, cx: address of the descriptor',
  'cpu.write_idt_entry': 'ax: table, dx: vector, cx: address of the gate',
  'cpu.alloc_ldt': 'ax: table, dx: entries',
  'cpu.free_ldt': 'ax: table, dx: entries',
  'cpu.load_sp0': 'ax: top of the stack for entries from ring 3',
  'cpu.set_iopl_mask': 'ax: IOPL, where EFLAGS has it',
  'cpu.wbinvd': '',
  'cpu.io_delay': '',
  'cpu.cpuid': 'ax: leaf, cx: subleaf → ax, bx, cx, dx',
  'cpu.read_msr': 'cx: number → ax: low half, dx: high half, cx: 0, or not if it is refused',
  'cpu.write_msr': 'cx: number, ax: low half, dx: high half → cx: 0, or not if it is refused',
  'cpu.read_tsc': '→ ax: low half, dx: high half',
  'cpu.read_tscp': '→ ax: low half, dx: high half, cx: aux',
  'cpu.read_pmc': 'cx: counter → ax: low half, dx: high half',
  'cpu.iret': 'a jump; on the stack IP, CS, flags, on 64 bits or to ring 3 also SP, SS',
  'cpu.usergs_sysret64': "a jump to 64-bit code; cx: IP, r11: flags, sp: ring 3's; 64 bits only",
  'cpu.usergs_sysret32': "a jump to 32-bit code; cx: IP, r11: flags, sp: ring 3's; 64 bits only",
  'cpu.irq_enable_sysexit': 'a jump; dx: IP, cx: SP; 32 bits only',
  'cpu.swapgs': '',
  'cpu.start_context_switch': '',
  'cpu.end_context_switch': '',
  'irq.save_fl': '→ ax: flags, of which only IF counts',
  'irq.restore_fl': 'ax: flags',
  'irq.irq_disable': '',
  'irq.irq_enable': '',
  'irq.safe_halt': '',
  'irq.halt': '',
  'irq.adjust_exception_frame':
    'first thing in a handler; keeps every register that the frame does not hold',
  'mmu.read_cr2': '→ ax',
  'mmu.write_cr2': 'ax',
  'mmu.read_cr3': '→ ax: physical address',
  'mmu.write_cr3': 'ax: physical address',
  'mmu.flush_tlb_user': '',
  'mmu.flush_tlb_kernel': '',
  'mmu.flush_tlb_single': 'ax: address',
  'mmu.set_pte': 'ax: where, dx (cx): entry',
  'mmu.set_pte_at': 'ax: where, bx: the address that it maps, dx (cx): entry',
  'mmu.set_pte_atomic': 'ax: where, dx (cx): entry',
  'mmu.pte_clear': 'ax: where, bx: the address that it maps',
  'mmu.set_pmd': 'ax: where, dx (cx): entry',
  'mmu.pmd_clear': 'ax: where',
  'mmu.set_pud': 'ax: where, dx (cx): entry; the top level on 32 bits',
  'mmu.set_pgd': 'ax: where, dx (cx): entry; 64 bits only',
  'mmu.pte_update': 'ax: where, bx: the address that it maps',
  'mmu.ptep_modify_prot_start': 'ax: where, bx: the address that it maps → ax (dx): entry',
  'mmu.ptep_modify_prot_commit': 'ax: where, bx: the address that it maps, dx (cx): entry',
  'mmu.alloc_pte': 'ax: frame number of a page that becomes a table; still writable',
  'mmu.alloc_pmd': 'ax: frame number',
  'mmu.alloc_pud': 'ax: frame number',
  'mmu.release_pte': 'ax: frame number; ordinary and writable again',
  'mmu.release_pmd': 'ax: frame number',
  'mmu.release_pud': 'ax: frame number',
  'mmu.pgd_alloc': 'ax: frame number of a filled page that becomes a top-level table',
  'mmu.pgd_free': 'ax: frame number; ordinary and writable again',
  'mmu.activate_mm':
    'ax: physical address of the top-level table that is about to be used for the first time',
  'mmu.exit_mmap': 'ax: physical address of the top-level table that is not used any more',
  'mmu.make_pte':
    'ax (dx): entry with a frame number of the guest → ax (dx): as the tables have it',
  'mmu.pte_val': 'ax (dx): entry as the tables have it → ax (dx): with a frame number of the guest',
  'mmu.lazy_mode.enter': '',
  'mmu.lazy_mode.leave': '',
  'time.sched_clock': '→ ax: low half of the nanoseconds, dx: high half',
  'time.get_wallclock': '→ ax: seconds since 1970',
  'time.steal_clock': '→ ax: low half of the nanoseconds, dx: high half',
  'apic.read': 'ax: offset of the register → ax',
  'apic.write': 'ax: offset of the register, dx: value',
  'apic.eoi_write': '',
  'apic.setup_boot_clock': 'makes ready for GuestClock.arm',
  'machine.power_off': 'does not return',
  'machine.restart': 'does not return',
} as const satisfies Partial<Record<OperationId, string>>;

export type GuestOperationId = keyof typeof GUEST_CALLS;

export const GUEST_OPERATIONS = Object.keys(GUEST_CALLS) as readonly GuestOperationId[];

/** Registers by their 16-bit names, for both word sizes. */
export type GuestRegister =
  | ('ax' | 'bx' | 'cx' | 'dx' | 'si' | 'di' | 'bp')
  | ('r8' | 'r9' | 'r10' | 'r11' | 'r12' | 'r13' | 'r14' | 'r15');

/** How an interface does one operation. */
export interface GuestOperation {
  /** Without a return: the kernel adds it, or puts the code at the call site. May use the stack. Emitted more than once. */
  emit(code: GuestCode): void;
  /** Registers that it loses, beside AX, DX and CX: the kernel keeps them around it. */
  readonly clobbers?: readonly GuestRegister[];
  /** Where it is there for one word size only. */
  readonly only?: 32 | 64;
  /** The class of lazy mode under which it only queues. */
  readonly lazy?: 'cpu' | 'mmu';
  /** By which entry point, as the manifest spells it; for tables. */
  readonly by?: string;
}

/** An entry of the interface's own, instead of those of hardware (multiboot, PVH, Linux). */
export interface GuestStart {
  /** Where it is entered: `physical` without paging or one to one; the ELF entry, or an ELF note names the label. */
  readonly label: string;
  /**
   * From the first instruction to `jmp kernel.main`: loads a stack, keeps its argument in `kernel.boot_argument`. The mapping
   * of the image, one to one with pages of 4 KiB, is there already.
   */
  emit(code: GuestCode): void;
  /** Notes that ask the loader for it: a number or text, or the name of a label. */
  readonly notes?: readonly GuestNote[];
  /** The ELF's own entry is this one, if no note names it. Linux's sub-architecture, which tells it from others there. */
  readonly subarchitecture?: number;
}

export interface GuestNote {
  readonly owner: string;
  readonly type: number;
  readonly value: number | { readonly text: string } | { readonly label: string };
}

/** Interrupts at a time, for measurements and idling. */
export interface GuestClock {
  /** The vector that it comes in by, in the trap handler's words. */
  readonly vector: number;
  /** ax: nanoseconds from now, below 2^31. One interrupt. */
  arm(code: GuestCode): void;
  /** In the handler: the interrupt has been taken. May lose AX, DX and CX. */
  acknowledge(code: GuestCode): void;
  readonly clobbers?: readonly GuestRegister[];
}

/** What a guest can rely on, for code and expectations that differ. */
export interface GuestTraits {
  /** The ring that the kernel's selectors name. */
  readonly kernelRing: 0 | 1 | 3;
  /**
   * `hardware`: a store to a table is all there is to it. `checked`: tables are typed, and stores to them are refused or emulated.
   * `shadow`: what is not reported does not happen.
   */
  readonly pageTables: 'hardware' | 'checked' | 'shadow';
  /** The PC's devices are there: ports, PIC, PIT, local APIC. */
  readonly pc: boolean;
  /** Privileged instructions: done, done by emulation, or a fault. */
  readonly privileged: 'native' | 'emulated' | 'fault';
  /** Call sites may be rewritten with the operation's own code; `call`: only with a direct call; `none`: text is read-only. */
  readonly patching: 'inline' | 'call' | 'none';
}

/** Something that is refused by an answer. */
export interface GuestRefusal extends GuestOperation {
  readonly what: string;
  readonly answer: number;
}

export const REFUSALS_MAX = 8;

export interface GuestBinding {
  /** Of the interface; labels of its own begin with it (`_` for `-`) and a dot. */
  readonly id: string;
  readonly bits: readonly (32 | 64)[];
  readonly traits: GuestTraits;
  /** Finds the interface beneath a kernel that came in by hardware's ways: ax := 1 if it is there, else 0. May lose every register but SP. */
  detect?(code: GuestCode): void;
  /** For an interface that enters its guests in its own way. */
  readonly start?: GuestStart;
  /** Once it is known, before any operation: registers pages, sets handlers. May lose every register but SP. */
  init?(code: GuestCode): unknown;
  /** Those that it does in its own way; for the others it takes native's. */
  readonly operations: Partial<Readonly<Record<GuestOperationId, GuestOperation>>>;
  /** Those that a guest cannot do here, and why. */
  readonly cannot: Partial<Readonly<Record<GuestOperationId, string>>>;
  /** Prints the byte in AL. */
  readonly console: GuestOperation;
  readonly clock: GuestClock | null;
  /** The cheapest way into the interface and back. */
  readonly nullCall: GuestOperation;
  /** A call that the interface does not have, its answer in AX, and what that must be (low 32 bits). */
  readonly badCall?: GuestOperation & { readonly answer: number };
  /** What its specification refuses, `REFUSALS_MAX` at most: asked for, and the answer in AX (low 32 bits). */
  readonly refusals?: readonly GuestRefusal[];
  /** Zeroed memory, by label. Page-aligned pieces have pages to themselves. */
  readonly memory?: readonly {
    readonly label: string;
    readonly bytes: number;
    readonly align: number;
  }[];
  /** Code and tables beside the flow: handlers, pages of calls. */
  beside?(code: GuestCode): void;
  /** Where a 32-bit guest meets another ABI: the binding for it, instead of this one. */
  readonly in32?: GuestBinding;
}

/** The binding that a kernel of this word size has. */
export const bindingIn = (binding: GuestBinding, bits: 32 | 64): GuestBinding =>
  bits === 32 && binding.in32 ? binding.in32 : binding;

export function defineGuest(binding: GuestBinding): GuestBinding {
  return binding;
}
