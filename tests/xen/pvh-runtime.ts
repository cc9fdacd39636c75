// The PVH guest that runs the Xen programs: from the 32-bit entry to long mode, its descriptors, handlers, and ways to make a call.

import { Assembler } from '../../src/cpu/asm.ts';
import { CAUGHT, emitPrograms, FIRST_INDEX, loopText, printText } from './guest.ts';
import * as at from './layout.ts';
import { hex } from './program.ts';
import { type PvhProgram, pvhPartsOf, SELECTORS } from './pvh-program.ts';

/** xen/include/public: xen.h, hvm/hvm_op.h, hvm/params.h, memory.h, vcpu.h */
const CALL = { memory_op: 12, vcpu_op: 24, hvm_op: 34 };
const XENMEM_add_to_physmap = 7;
const [HVMOP_set_param, HVMOP_get_param] = [0, 1];
const PARAM = { callback: 0, consoleFrame: 17, consolePort: 18 };
const VCPUOP_stop_periodic_timer = 7;
const VCPUOP_stop_singleshot_timer = 9;
const DOMID_SELF = 0x7ff0;
/** In shared_info of 64-bit guests (xen.h): evtchn_pending_sel of vCPU 0, evtchn_pending, evtchn_mask. */
const [PENDING_SEL, PENDING, MASK] = [8, 0x800, 0xa00];
/** Offsets in hvm_start_info (arch-x86/hvm/start_info.h). */
const COMMAND_LINE = 24;
/** The MSR that has the hypercall page written (arch-x86/cpuid.h; Xen 4.17 always says this one). */
const CALL_PAGE_MSR = 0x4000_0000;
const EFER = 0xc000_0080;
const [LME, PAE, PE, PG, ET] = [0x100, 0x20, 1, 0x8000_0000, 0x10];
/** Large pages: present, writable, for ring 3; those below 4 GiB not cached. */
const [LARGE_RAM, LARGE_DEVICE, TABLE] = [0x87, 0x9f, 7];
const LARGE_BYTES = 0x20_0000;
const TOP_BASE = 0xc000_0000;
const APIC_EOI = -0x1_0000_0000 + 0xfee0_00b0;
/** Exceptions with an error code (SDM 3A 6.13); the first vector of interrupts. */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17];
const FIRST_INTERRUPT = 32;
const STUB_BYTES = 16;
const GATE = 0x8e00;
/** Base of the TSS in the descriptor, in its three pieces. */
const tss = BigInt.asUintN(64, BigInt(at.TSS));
const GDT: readonly bigint[] = [
  0n,
  0x00af_9b00_0000_ffffn,
  0x00cf_9300_0000_ffffn,
  0x00cf_9b00_0000_ffffn,
  0x008f_9b00_0000_ffffn,
  0x00af_fb00_0000_ffffn,
  0x00cf_f300_0000_ffffn,
  0x0000_8900_0000_0067n | ((tss & 0xff_ffffn) << 16n) | (((tss >> 24n) & 0xffn) << 56n),
  tss >> 32n,
];
const GDT_LIMIT = GDT.length * 8 - 1;

export function assemblePvhGuest(all: readonly PvhProgram[]): Uint8Array {
  const a = new Assembler(32, BigInt.asUintN(64, BigInt(at.TEXT)));
  a.dw(GDT_LIMIT).dd(at.physical(at.DESCRIPTORS));
  fillTo(a, at.TEXT + 0x10);
  a.dw(GDT_LIMIT).dq(BigInt.asUintN(64, BigInt(at.DESCRIPTORS)));
  fillTo(a, at.TEXT + 0x20);
  a.dw(256 * 16 - 1).dq(BigInt.asUintN(64, BigInt(at.IDT)));
  fillTo(a, at.DESCRIPTORS);
  a.dq(...GDT);
  fillTo(a, at.ENTRY);
  a.text(NARROW_START);
  fillTo(a, at.WIDE_START);
  a.use(64).text(WIDE_START).text(loopText('call hypercall', 'call prepare'));
  a.text(printText('call hypercall')).text(PREPARE).text(PARAMETER);
  callers(a);
  stubs(a);
  emitPrograms(
    a,
    all.map(({ code }, index) => code(pvhPartsOf(index))),
  );
  return a.finish();
}

function fillTo(a: Assembler, va: number): void {
  while (BigInt.asIntN(64, a.here) < va) a.bytes(0xcc);
}

const p = (va: number, plus = 0) => hex(at.physical(va) + plus);

/** What the registers were, page tables, long mode. Memory is addressed physically. */
const NARROW_START = `
  mov esp, ${p(at.STACK_TOP)}
  pushfd; pop eax; mov [${p(at.ENTERED)}], eax
  mov [${p(at.ENTERED, 4)}], ebx
  mov eax, cr0; mov [${p(at.ENTERED, 8)}], eax
  mov eax, cr4; mov [${p(at.ENTERED, 12)}], eax
  mov ecx, ${EFER}; rdmsr; mov [${p(at.ENTERED, 16)}], eax
  mov dword ptr [${p(at.ROOT)}], ${p(at.MIDDLE, TABLE)}
  mov dword ptr [${p(at.ROOT, 511 * 8)}], ${p(at.MIDDLE, TABLE)}
  mov dword ptr [${p(at.MIDDLE)}], ${p(at.LARGE, TABLE)}
  mov dword ptr [${p(at.MIDDLE, 2 * 8)}], ${p(at.LARGE, TABLE)}
  mov dword ptr [${p(at.MIDDLE, 510 * 8)}], ${p(at.LARGE, TABLE)}
  mov dword ptr [${p(at.MIDDLE, 511 * 8)}], ${p(at.LARGE_TOP, TABLE)}
  xor ecx, ecx; mov eax, ${LARGE_RAM}; mov edx, ${TOP_BASE + LARGE_DEVICE}
large:
  mov [${p(at.LARGE)} + ecx * 8], eax; mov [${p(at.LARGE_TOP)} + ecx * 8], edx
  add eax, ${LARGE_BYTES}; add edx, ${LARGE_BYTES}; inc ecx; cmp ecx, 512; jb large
  mov eax, ${PAE}; mov cr4, eax
  mov eax, ${p(at.ROOT)}; mov cr3, eax
  mov ecx, ${EFER}; rdmsr; or eax, ${LME}; wrmsr
  mov eax, ${PG + ET + PE}; mov cr0, eax
  lgdt [${p(at.TEXT)}]
  push ${SELECTORS.code}; push ${p(at.WIDE_START)}; retf`;

/** The upper half, descriptors, the hypercall page, shared_info, the console, the command line. */
const WIDE_START = `
  lea rax, [upper]; mov rcx, ${hex(at.VIRT_BASE)}; add rax, rcx; jmp rax
upper:
  mov rsp, ${hex(at.STACK_TOP)}
  mov rbx, ${hex(at.MIDDLE)}; xor eax, eax; mov [rbx], rax; mov rax, cr3; mov cr3, rax
  mov rbx, ${hex(at.TSS)}; mov rax, ${hex(at.INNER_STACK_TOP)}; mov [rbx + 4], rax; mov word ptr [rbx + 102], 104
  mov rdi, ${hex(at.IDT)}; lea rdx, [stub0]; xor ecx, ecx
gate:
  mov [rdi], dx; mov word ptr [rdi + 2], ${SELECTORS.code}; mov word ptr [rdi + 4], ${GATE}
  mov rax, rdx; shr rax, 16; mov [rdi + 6], ax; shr rax, 16; mov [rdi + 8], eax
  add rdi, 16; add rdx, ${STUB_BYTES}; inc ecx; cmp ecx, 256; jb gate
  mov rbx, ${hex(at.TEXT + 0x10)}; lgdt [rbx]
  mov eax, ${SELECTORS.tss}; ltr ax
  mov rbx, ${hex(at.TEXT + 0x20)}; lidt [rbx]
  mov ecx, ${CALL_PAGE_MSR}; mov eax, ${p(at.CALL_PAGE)}; xor edx, edx; wrmsr
  mov rbx, ${hex(at.CALL_PAGE)}; mov eax, [rbx + 5]; mov ecx, eax; shr ecx, 16
  lea rbx, [hypercall]; mov [rbx], ax; mov [rbx + 2], cl
  lea rbx, [call32]; mov [rbx], ax; mov [rbx + 2], cl
  lea rbx, [call16]; mov [rbx], ax; mov [rbx + 2], cl
  mov rsi, ${hex(at.SCRATCH)}; mov qword ptr [rsi], ${DOMID_SELF}; mov qword ptr [rsi + 8], 0
  mov qword ptr [rsi + 16], ${at.physical(at.SHARED_INFO) / 4096}
  mov edi, ${XENMEM_add_to_physmap}; mov eax, ${CALL.memory_op}; call hypercall
  mov edi, ${PARAM.consolePort}; call parameter; mov rbx, ${hex(at.CONSOLE_PORT)}; mov [rbx], rax
  mov edi, ${PARAM.consoleFrame}; call parameter; shl rax, 12; call address_of; mov rbx, ${hex(at.CONSOLE)}; mov [rbx], rax
  mov rbx, ${hex(at.ENTERED)}; mov eax, [rbx + 4]; call address_of; mov rbx, ${hex(at.START_INFO)}; mov [rbx], rax
  mov rax, [rax + ${COMMAND_LINE}]; call address_of; mov rsi, rax
  ${FIRST_INDEX}`;

/** Before each program: descriptors, no way for upcalls, no timers, nothing counted. */
const PREPARE = `
prepare:
  cli; cld; clts; xor eax, eax; mov cr8, rax
  mov rbx, ${hex(at.TEXT + 0x10)}; lgdt [rbx]; mov rbx, ${hex(at.TEXT + 0x20)}; lidt [rbx]
  mov eax, ${SELECTORS.data}; mov ds, ax; mov es, ax; mov ss, ax
  xor edi, edi; xor eax, eax; call set_parameter
  mov edi, ${VCPUOP_stop_periodic_timer}; xor esi, esi; mov eax, ${CALL.vcpu_op}; call hypercall
  mov edi, ${VCPUOP_stop_singleshot_timer}; xor esi, esi; mov eax, ${CALL.vcpu_op}; call hypercall
  mov rbx, ${hex(at.SHARED_INFO)}; xor eax, eax; mov [rbx], al; mov [rbx + ${PENDING_SEL}], rax
  mov [rbx + ${PENDING}], rax; mov [rbx + ${MASK}], rax
  mov rdi, ${hex(at.COUNTS)}; mov ecx, 256; xor eax, eax; rep stosq
  mov rbx, ${hex(at.CLEAR_FROM)}; mov qword ptr [rbx], 1; mov qword ptr [rbx + 8], 0
  ret`;

/** \`parameter\`: the one of number EDI in RAX. \`set_parameter\`: it becomes RAX. \`address_of\`: of the physical address RAX. */
const PARAMETER = `
parameter:
  mov rsi, ${hex(at.SCRATCH)}; mov dword ptr [rsi], ${DOMID_SELF}; mov [rsi + 4], edi
  mov edi, ${HVMOP_get_param}; mov eax, ${CALL.hvm_op}; call hypercall; mov rax, [rsi + 8]; ret
set_parameter:
  mov rsi, ${hex(at.SCRATCH)}; mov dword ptr [rsi], ${DOMID_SELF}; mov [rsi + 4], edi; mov [rsi + 8], rax
  mov edi, ${HVMOP_set_param}; mov eax, ${CALL.hvm_op}; call hypercall; ret
address_of:
  mov rcx, ${hex(at.VIRT_BASE)}; bt rax, 31; jb from_top
  add rax, rcx; ret
from_top:
  mov rcx, 0xffffffff00000000; or rax, rcx; ret`;

/** The instruction of a call is Xen's choice and copied from the hypercall page to these places. */
function callers(a: Assembler): void {
  a.text('hypercall:').bytes(0x0f, 0x01, 0xd9).text('ret');
  for (const [bits, selector] of [
    [32, SELECTORS.code32],
    [16, SELECTORS.code16],
  ] as const) {
    a.text(`hypercall${bits}:
      mov r8, ${hex(at.NARROW_STACK)}; mov [r8], rsp
      mov r8, ${hex(at.NARROW_BACK)}; lea r9, [back${bits}]; mov [r8], r9
      push ${selector}; lea r8, [call${bits}]; mov r8d, r8d; push r8`);
    a.bytes(0x48, 0xcb).text(`call${bits}:`).bytes(0x0f, 0x01, 0xd9);
    // push code; push dword ptr [NARROW_BACK]; retf, of 32 bits each.
    const wide = bits === 16 ? [0x66] : [];
    a.bytes(...wide, 0x6a, SELECTORS.code, ...wide, ...(bits === 16 ? [0x67] : []), 0xff, 0x35);
    a.dd(at.narrow(at.NARROW_BACK)).bytes(...wide, 0xcb);
    a.text(`back${bits}:
      mov r8, ${hex(at.NARROW_STACK)}; mov rsp, [r8]; mov eax, eax; lea r8, [upper${bits}]; mov rcx, 0xffffffff00000000; or r8, rcx; jmp r8
      upper${bits}:
      ret`);
  }
}

/** Exceptions go on where the program wants; interrupts are counted. */
function stubs(a: Assembler): void {
  a.align(STUB_BYTES);
  for (let vector = 0; vector < 256; vector++) {
    a.text(`stub${vector}:`);
    if (!WITH_ERROR.includes(vector)) a.text('push 0');
    a.text(`push ${vector}; jmp ${vector < FIRST_INTERRUPT ? 'exception' : 'interrupt'}`);
    a.align(STUB_BYTES);
  }
  a.text(`exception:
    mov rbx, ${hex(at.CATCH)}; pop rax; mov [rbx + 16], rax; pop rax; mov [rbx + 24], rax; mov rsi, rsp; jmp caught`);
  a.text(CAUGHT);
  a.text(`interrupt:
    push rax; push rbx; push rcx
    mov rax, [rsp + 24]; mov rbx, ${hex(at.COUNTS)}; lea rbx, [rbx + rax * 8]; inc qword ptr [rbx]; mov rax, [rbx]
    mov rbx, ${hex(at.CLEAR_FROM)}; cmp rax, [rbx]; jb still_pending
    mov rcx, ${hex(at.SHARED_INFO)}; mov byte ptr [rcx], 0; mov qword ptr [rcx + ${PENDING_SEL}], 0
  still_pending:
    cmp qword ptr [rbx + 8], 0; je not_ended
    mov rcx, ${hex(APIC_EOI)}; mov dword ptr [rcx], 0
  not_ended:
    pop rcx; pop rbx; pop rax; add rsp, 16; iretq`);
}
