// The guest side of Xen PV in 64 bits: hypercalls, pages shared with Xen, frames that are not where the guest counts them.

import { defineGuest, type GuestCode, type GuestOperation } from '../../ops/index.ts';
import { readPvclock } from '../hw/pvclock-guest.ts';
import { ENOSYS } from '../xen/abi/errno.ts';
import { sharedInfo, vcpuInfo } from '../xen/abi/xen.ts';
import * as abi from './abi.ts';
import { PV_CALLS } from './calls.ts';
import {
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from './image-notes.ts';
import { startInfo } from './start-info.ts';

const MASK = `xen_pv.shared+${vcpuInfo.wide.offsetOf('evtchn_upcall_mask')}`;
const PENDING = `xen_pv.shared+${vcpuInfo.wide.offsetOf('evtchn_upcall_pending')}`;
const SELECTOR = `xen_pv.shared+${vcpuInfo.wide.offsetOf('evtchn_pending_sel')}`;
const CR2 = `xen_pv.shared+${vcpuInfo.wide.offsetOf('arch')}`;
const TIME_AT = vcpuInfo.wide.offsetOf('time');
const PORTS = `xen_pv.shared+${sharedInfo.wide.offsetOf('evtchn_pending')}`;
const PORT_MASKS = `xen_pv.shared+${sharedInfo.wide.offsetOf('evtchn_mask')}`;
const WALL_SECONDS = `xen_pv.shared+${sharedInfo.wide.offsetOf('wc_sec')}`;
const WALL_NANOS = `xen_pv.shared+${sharedInfo.wide.offsetOf('wc_nsec')}`;
/** The console's ring (io/xencons.h). */
const RING = { out: 1024, outBytes: 2048, outCons: 3080, outProd: 3084 } as const;
const MACH2PHYS = '0xffff800000000000';
const FRAME_MASK = '0x000ffffffffff000';
const DOMID_SELF = 0x7ff0;
const [P_US_RW, P_US] = [0x67, 0x65];
const CLOCK_VECTOR = 0x20;
const [BIND_VIRQ, SEND, REGISTER, BLOCK, YIELD, SHUTDOWN] = [1, 4, 0, 1, 0, 2];
const IF = 0x200;
const TRAP_VECTORS_END = 0x81;
const BILLION = 1e9;

const ARGUMENTS = ['rdi', 'rsi', 'rdx', 'r10', 'r8'];
const CLOBBERS = ['di', 'si', 'bx', 'r8', 'r9', 'r10', 'r11'] as const;

/** A call by its name in the headers; arguments that are null are in their registers already. */
function hypercall(name: string, ...args: readonly (string | number | null)[]): string {
  const found = [...PV_CALLS.values()].find((call) => call.name === name);
  const number = found?.number ?? abi.HYPERVISOR_iret;
  const loads = args.flatMap((value, n) =>
    value === null ? [] : [`mov ${ARGUMENTS[n]}, ${value}`],
  );
  return [...loads, `mov eax, ${number}`, 'syscall'].join('; ');
}

const op = (text: string, by: string, more: Partial<GuestOperation> = {}): GuestOperation => ({
  emit: (code) => code.text(text),
  clobbers: CLOBBERS,
  by,
  ...more,
});
const nothing: GuestOperation = { emit: () => {}, by: 'no-op' };

/** mmuext_op with its first argument in RAX. */
const mmuext = (command: number): string =>
  `mov qword ptr [xen_pv.op], ${command}; mov [xen_pv.op+8], rax; ${hypercall('mmuext_op', 'xen_pv.op', 1, 0, DOMID_SELF)}`;
/** The machine address of what lies at RAX: RAX again. RCX is lost. */
const TO_MACHINE =
  'mov rcx, rax; and ecx, 0xfff; shr rax, 12; mov r8, [xen_pv.p2m]; mov rax, [r8+rax*8]; shl rax, 12; or rax, rcx';
/** The entry at RAX := RDX. */
const UPDATE = `${TO_MACHINE}; mov [xen_pv.op], rax; mov [xen_pv.op+8], rdx; ${hypercall('mmu_update', 'xen_pv.op', 1, 0, DOMID_SELF)}`;
const update = op(UPDATE, 'mmu_update', { lazy: 'mmu' });
/** The guest's page RAX, mapped with these flags; RBX keeps its number. */
const protect = (flags: number): string =>
  `mov rbx, rax; mov r8, [xen_pv.p2m]; mov rsi, [r8+rbx*8]; shl rsi, 12; or rsi, ${flags}; mov rdi, rbx; shl rdi, 12; ${hypercall('update_va_mapping', null, null, abi.UVMF_INVLPG)}`;
const MFN = 'mov r8, [xen_pv.p2m]; mov rax, [r8+rbx*8]';
const pin = (command: number): GuestOperation =>
  op(`${protect(P_US)}; ${MFN}; ${mmuext(command)}`, 'mmuext_op.MMUEXT_PIN_TABLE');
const unpin = op(
  `mov rbx, rax; ${MFN}; ${mmuext(abi.MMUEXT_UNPIN_TABLE)}; mov rax, rbx; ${protect(P_US_RW)}`,
  'mmuext_op.MMUEXT_UNPIN_TABLE',
);
const translate = (lookUp: string): GuestOperation => ({
  emit(code) {
    const done = code.fresh('translated');
    code.text(
      `test al, 1; je ${done}; mov rcx, ${FRAME_MASK}; mov rdx, rax; and rdx, rcx; not rcx`,
    );
    code.text(
      `and rax, rcx; shr rdx, 12; ${lookUp}; mov rdx, [rcx+rdx*8]; shl rdx, 12; or rax, rdx; ${done}:`,
    );
  },
});
/** On the way from masked to not, what has come in between is asked for. */
function unmask(code: GuestCode): void {
  const done = code.fresh('unmasked');
  code.text(`mov byte ptr [${MASK}], 0; cmp byte ptr [${PENDING}], 0; je ${done}`);
  code.text(`${hypercall('xen_version', 0, 0)}; ${done}:`);
}

export const xenPvGuest = defineGuest({
  id: 'xen-pv',
  bits: [64],
  traits: {
    kernelRing: 3,
    pageTables: 'checked',
    pc: false,
    privileged: 'emulated',
    patching: 'inline',
  },
  start: {
    label: 'xen_pv.entry',
    // RSI is start_info (xen.h, start-of-day).
    emit: (code) =>
      code.text('mov [kernel.boot_argument], rsi; mov rsp, kernel.stack_top; cld; jmp kernel.main'),
    notes: [
      { owner: 'Xen', type: XEN_ELFNOTE_ENTRY, value: { label: 'xen_pv.entry' } },
      { owner: 'Xen', type: XEN_ELFNOTE_VIRT_BASE, value: 0 },
      { owner: 'Xen', type: XEN_ELFNOTE_PADDR_OFFSET, value: 0 },
      { owner: 'Xen', type: XEN_ELFNOTE_XEN_VERSION, value: { text: 'xen-3.0' } },
      { owner: 'Xen', type: XEN_ELFNOTE_GUEST_OS, value: { text: 'pvops-probe' } },
      { owner: 'Xen', type: XEN_ELFNOTE_LOADER, value: { text: 'generic' } },
      { owner: 'Xen', type: XEN_ELFNOTE_FEATURES, value: { text: 'pae_pgdir_above_4gb' } },
    ],
  },
  init: start,
  operations: {
    'cpu.clts': op(hypercall('fpu_taskswitch', 0), 'fpu_taskswitch'),
    'cpu.get_debugreg': op(hypercall('get_debugreg', 'rax'), 'get_debugreg'),
    'cpu.set_debugreg': op(
      `mov rsi, rdx; ${hypercall('set_debugreg', 'rax', null)}`,
      'set_debugreg',
    ),
    'cpu.load_tr_desc': nothing,
    'cpu.load_gdt': { emit: loadGdt, clobbers: CLOBBERS, by: 'set_gdt' },
    'cpu.load_idt': { emit: loadIdt, clobbers: CLOBBERS, by: 'set_trap_table' },
    'cpu.store_tr': op('xor eax, eax', 'no-op'),
    'cpu.set_ldt': op(
      `mov [xen_pv.op+16], rdx; ${mmuext(abi.MMUEXT_SET_LDT)}`,
      'mmuext_op.MMUEXT_SET_LDT',
    ),
    'cpu.load_tls': { emit: loadTls, clobbers: CLOBBERS, by: 'update_descriptor' },
    'cpu.load_gs_index': op(
      hypercall('set_segment_base', abi.SEGBASE_GS_USER_SEL, 'rax'),
      'set_segment_base',
    ),
    'cpu.write_gdt_entry': descriptor(),
    'cpu.write_ldt_entry': descriptor(),
    'cpu.alloc_ldt': op(`shr rax, 12; ${protect(P_US)}`, 'update_va_mapping'),
    'cpu.free_ldt': op(`shr rax, 12; ${protect(P_US_RW)}`, 'update_va_mapping'),
    'cpu.load_sp0': op(
      `mov rsi, rax; ${hypercall('stack_switch', abi.FLAT_RING3_DS, null)}`,
      'stack_switch',
    ),
    'cpu.io_delay': nothing,
    // Without the prefix the processor answers by itself, and says what Xen would not (arch-x86/xen.h, XEN_CPUID).
    'cpu.cpuid': {
      emit: (code) => code.bytes(0x0f, 0x0b, 0x78, 0x65, 0x6e).text('cpuid'),
      by: 'CPUID behind XEN_EMULATE_PREFIX',
    },
    'cpu.iret': {
      emit: (code) =>
        code.text(`push 0; push rcx; push r11; push rax; mov eax, ${abi.HYPERVISOR_iret}; syscall`),
      by: 'iret',
    },
    'cpu.swapgs': nothing,
    'irq.save_fl': op(
      `xor eax, eax; cmp byte ptr [${MASK}], 0; sete al; shl eax, 9`,
      'vcpu_info.evtchn_upcall_mask',
    ),
    'irq.restore_fl': {
      emit(code) {
        const [masked, done] = [code.fresh('masked'), code.fresh('done')];
        code.text(`test eax, ${IF}; je ${masked}`);
        unmask(code);
        code.text(`jmp ${done}; ${masked}:; mov byte ptr [${MASK}], 1; ${done}:`);
      },
      clobbers: CLOBBERS,
      by: 'vcpu_info.evtchn_upcall_mask',
    },
    'irq.irq_disable': op(`mov byte ptr [${MASK}], 1`, 'vcpu_info.evtchn_upcall_mask'),
    'irq.irq_enable': { emit: unmask, clobbers: CLOBBERS, by: 'vcpu_info.evtchn_upcall_mask' },
    'irq.safe_halt': op(hypercall('sched_op', BLOCK, 0), 'sched_op.SCHEDOP_block'),
    'irq.halt': op(hypercall('sched_op', BLOCK, 0), 'sched_op.SCHEDOP_block'),
    'irq.adjust_exception_frame': { emit: (code) => code.text('pop rcx; pop r11') },
    'mmu.read_cr2': op(`mov rax, [${CR2}]`, 'vcpu_info.arch.cr2'),
    'mmu.write_cr2': op(`mov [${CR2}], rax`, 'vcpu_info.arch.cr2'),
    'mmu.read_cr3': op('mov rax, [xen_pv.cr3]', 'the last one set'),
    'mmu.write_cr3': op(
      `mov [xen_pv.cr3], rax; mov rbx, rax; shr rbx, 12; ${MFN}; ${mmuext(abi.MMUEXT_NEW_BASEPTR)}`,
      'mmuext_op.MMUEXT_NEW_BASEPTR',
      { lazy: 'cpu' },
    ),
    'mmu.flush_tlb_user': op(
      mmuext(abi.MMUEXT_TLB_FLUSH_LOCAL),
      'mmuext_op.MMUEXT_TLB_FLUSH_LOCAL',
    ),
    'mmu.flush_tlb_kernel': op(
      mmuext(abi.MMUEXT_TLB_FLUSH_LOCAL),
      'mmuext_op.MMUEXT_TLB_FLUSH_LOCAL',
    ),
    'mmu.flush_tlb_single': op(mmuext(abi.MMUEXT_INVLPG_LOCAL), 'mmuext_op.MMUEXT_INVLPG_LOCAL'),
    'mmu.set_pte': update,
    'mmu.set_pte_at': update,
    'mmu.set_pte_atomic': update,
    'mmu.pte_clear': op(`xor edx, edx; ${UPDATE}`, 'mmu_update', { lazy: 'mmu' }),
    'mmu.set_pmd': update,
    'mmu.pmd_clear': op(`xor edx, edx; ${UPDATE}`, 'mmu_update', { lazy: 'mmu' }),
    'mmu.set_pud': update,
    'mmu.set_pgd': update,
    'mmu.ptep_modify_prot_commit': update,
    // The entry stays as it is until the commit, which keeps the bits that the processor sets (Linux 6.1, xen/mmu_pv.c).
    'mmu.ptep_modify_prot_start': op('mov rax, [rax]', 'no-op'),
    'mmu.alloc_pte': pin(abi.MMUEXT_PIN_L1_TABLE),
    'mmu.alloc_pmd': pin(abi.MMUEXT_PIN_L2_TABLE),
    'mmu.alloc_pud': pin(abi.MMUEXT_PIN_L3_TABLE),
    'mmu.pgd_alloc': pin(abi.MMUEXT_PIN_L4_TABLE),
    'mmu.release_pte': unpin,
    'mmu.release_pmd': unpin,
    'mmu.release_pud': unpin,
    'mmu.pgd_free': unpin,
    'mmu.make_pte': translate('mov rcx, [xen_pv.p2m]'),
    'mmu.pte_val': translate(`mov rcx, ${MACH2PHYS}`),
    'time.sched_clock': readPvclock(`xen_pv.shared; add rsi, ${TIME_AT}`),
    'time.get_wallclock': {
      emit: (code) =>
        code
          .op('time.sched_clock')
          .text(`add eax, [${WALL_NANOS}]; adc edx, 0; mov ecx, ${BILLION}; div ecx`)
          .text(`add eax, [${WALL_SECONDS}]`),
      by: 'shared_info.wc',
    },
    'apic.setup_boot_clock': nothing,
    'machine.power_off': shutDown(0),
    'machine.restart': shutDown(1),
  },
  cannot: {
    'cpu.store_gdt': 'SGDT answers with the table of Xen',
    'cpu.store_idt': 'SIDT answers with the table of Xen',
    'cpu.write_idt_entry': 'set_trap_table takes handlers, not gates',
    'cpu.read_pmc': 'the domain has no performance counters',
    'time.steal_clock': 'the kernel registers no runstate area',
    'apic.read': 'a PV guest has no local APIC',
    'apic.write': 'a PV guest has no local APIC',
    'apic.eoi_write': 'a PV guest has no local APIC',
  },
  console: { emit: putByte, clobbers: CLOBBERS },
  clock: {
    vector: CLOCK_VECTOR,
    arm(code) {
      code.text('mov ebx, eax').op('time.sched_clock');
      code.text(`shl rdx, 32; or rax, rdx; add rax, rbx; ${hypercall('set_timer_op', 'rax')}`);
    },
    acknowledge: (code) =>
      code.text(
        `mov byte ptr [${PENDING}], 0; mov qword ptr [${SELECTOR}], 0; mov qword ptr [${PORTS}], 0`,
      ),
    clobbers: CLOBBERS,
  },
  nullCall: op(hypercall('xen_version', 0, 0), 'xen_version.XENVER_version'),
  badCall: { ...op('mov eax, 0x37; syscall', 'none'), answer: -ENOSYS >>> 0 },
  memory: [
    { label: 'xen_pv.shared', bytes: 4096, align: 4096 },
    { label: 'xen_pv.traps', bytes: 16 * (TRAP_VECTORS_END + 1), align: 16 },
    { label: 'xen_pv.op', bytes: 64, align: 64 },
    { label: 'xen_pv.port', bytes: 16, align: 16 },
    { label: 'xen_pv.p2m', bytes: 8, align: 8 },
    { label: 'xen_pv.cr3', bytes: 8, align: 8 },
    { label: 'xen_pv.console', bytes: 8, align: 8 },
    { label: 'xen_pv.console_port', bytes: 8, align: 8 },
  ],
  beside(code) {
    code.text(`xen_pv.event:; pop rcx; pop r11; push 0; push ${CLOCK_VECTOR}; jmp kernel.trap`);
    code.text('xen_pv.failsafe:; jmp kernel.died');
  },
});

/** Where start_info says that things are; the shared page in a page of the kernel's; events. */
function start(code: GuestCode): void {
  const at = (field: Parameters<typeof startInfo.wide.offsetOf>[0]) =>
    `rbx+${startInfo.wide.offsetOf(field)}`;
  code.text(`mov rbx, [kernel.boot_argument]; mov rax, [${at('mfn_list')}]; mov [xen_pv.p2m], rax`);
  code.text(
    `mov rax, [${at('pt_base')}]; mov [xen_pv.cr3], rax; mov eax, [${at('console_evtchn')}]`,
  );
  code.text(
    `mov [xen_pv.console_port], eax; mov rcx, ${MACH2PHYS}; mov rax, [${at('console_mfn')}]`,
  );
  code.text('mov rax, [rcx+rax*8]; shl rax, 12; mov [xen_pv.console], rax');
  code.text(`mov rsi, [${at('shared_info')}]; or rsi, ${P_US_RW}`);
  code.text(hypercall('update_va_mapping', 'xen_pv.shared', null, abi.UVMF_INVLPG));
  for (const [type, label] of [
    [abi.CALLBACKTYPE_event, 'xen_pv.event'],
    [abi.CALLBACKTYPE_failsafe, 'xen_pv.failsafe'],
  ] as const) {
    code.text(`mov dword ptr [xen_pv.op], ${type}; mov qword ptr [xen_pv.op+8], ${label}`);
    code.text(hypercall('callback_op', REGISTER, 'xen_pv.op'));
  }
  code.text(hypercall('vm_assist', 0, abi.VMASST_TYPE_writable_pagetables));
  // The timer is the only event that the kernel wants to hear of.
  code.text(
    `mov qword ptr [xen_pv.port], 0; ${hypercall('event_channel_op', BIND_VIRQ, 'xen_pv.port')}`,
  );
  code.text(
    `mov qword ptr [${PORT_MASKS}], -1; mov ecx, [xen_pv.port+8]; mov rax, -1; btr rax, rcx`,
  );
  code.text(`mov [${PORT_MASKS}], rax`);
}

/** Xen checks every descriptor, and a TSS is none that it takes. */
function loadGdt(code: GuestCode): void {
  code.text('mov qword ptr [kernel.gdt+0x80], 0; mov qword ptr [kernel.gdt+0x88], 0');
  code.text('mov rbx, rax; movzx r9, word ptr [rbx]; inc r9; shr r9, 3; mov [xen_pv.op+8], r9');
  code.text(`mov rax, [rbx+2]; shr rax, 12; ${protect(P_US)}; ${MFN}; mov [xen_pv.op], rax`);
  code.text(hypercall('set_gdt', 'xen_pv.op', '[xen_pv.op+8]'));
}

/** The handlers of the kernel, whatever gates the table has; interrupts are masked on the way in. */
function loadIdt(code: GuestCode): void {
  const [next, skip] = [code.fresh('trap'), code.fresh('trap')];
  code.text(`xor ecx, ecx; mov edi, xen_pv.traps; ${next}:; mov rdx, [kernel.trap_table+rcx*8]`);
  code.text(
    `test rdx, rdx; je ${skip}; mov [rdi], ecx; mov word ptr [rdi+2], ${abi.FLAT_RING3_CS64}`,
  );
  // Software interrupts are anybody's (DPL 3): breakpoint, overflow, system call.
  const own = code.fresh('trap');
  code.text(
    `mov byte ptr [rdi+1], ${abi.TRAP_MASKS_EVENTS}; cmp ecx, 3; je ${own}; cmp ecx, 4; je ${own}`,
  );
  code.text(
    `cmp ecx, 0x80; je ${own}; jmp ${own}_not; ${own}:; or byte ptr [rdi+1], ${abi.TRAP_DPL}`,
  );
  code.text(
    `${own}_not:; mov [rdi+8], rdx; add rdi, 16; ${skip}:; inc ecx; cmp ecx, ${TRAP_VECTORS_END}; jb ${next}`,
  );
  code.text('mov qword ptr [rdi], 0; mov qword ptr [rdi+8], 0');
  code.text(hypercall('set_trap_table', 'xen_pv.traps'));
}

function descriptor(): GuestOperation {
  const text = `lea rax, [rax+rdx*8]; mov rsi, [rcx]; ${TO_MACHINE}; ${hypercall('update_descriptor', 'rax', null)}`;
  return op(text, 'update_descriptor');
}

function loadTls(code: GuestCode): void {
  code.text('mov rbx, rax');
  for (let n = 0; n < 3; n++) {
    code.text(
      `mov eax, kernel.gdt; add eax, ${0x30 + n * 8}; ${TO_MACHINE}; mov rsi, [rbx+${n * 8}]`,
    );
    code.text(hypercall('update_descriptor', 'rax', null));
  }
}

/** A line is told of as a whole; a full ring is waited for. */
function putByte(code: GuestCode): void {
  const [again, room, done] = [code.fresh('ring'), code.fresh('ring'), code.fresh('ring')];
  const notify = `mov ecx, [xen_pv.console_port]; mov [xen_pv.port], ecx; ${hypercall('event_channel_op', SEND, 'xen_pv.port')}`;
  code.text(
    `mov bl, al; mov r9, [xen_pv.console]; ${again}:; mov edx, [r9+${RING.outProd}]; mov ecx, edx`,
  );
  code.text(`sub ecx, [r9+${RING.outCons}]; cmp ecx, ${RING.outBytes}; jb ${room}; ${notify}`);
  code.text(
    `${hypercall('sched_op', YIELD, 0)}; jmp ${again}; ${room}:; and edx, ${RING.outBytes - 1}`,
  );
  code.text(
    `mov [r9+rdx+${RING.out}], bl; inc dword ptr [r9+${RING.outProd}]; cmp bl, 10; jne ${done}`,
  );
  code.text(`${notify}; ${done}:`);
}

/** sched.h, SHUTDOWN_*. */
function shutDown(reason: number): GuestOperation {
  return op(
    `mov dword ptr [xen_pv.op], ${reason}; ${hypercall('sched_op', SHUTDOWN, 'xen_pv.op')}`,
    'sched_op.SCHEDOP_shutdown',
  );
}
