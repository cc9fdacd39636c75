// The guest that runs the Xen programs one after the other and prints `#index results`; the number behind the last `=` of its command line is the first index.

import { Assembler } from '../../src/cpu/asm.ts';
import { startInfo } from '../../src/hypervisors/xen-pv/start-info.ts';
import * as at from './layout.ts';
import { hex, partsOf, type XenProgram } from './program.ts';

const KERNEL_CS = 0xe033;
const HYPERVISOR = { set_trap_table: 0, update_va_mapping: 14, sched_op: 29, event_channel_op: 32 };
const SCHEDOP_yield = 0;
const SCHEDOP_shutdown = 2;
const EVTCHNOP_send = 4;
const UVMF_INVLPG = 2;
/** Exceptions with an error code (SDM 3A 6.13), and how many vectors have stubs. */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17];
const VECTORS = 32;
/** What a program leaves that faults where it did not mean to. */
export const UNEXPECTED = 0xdead;
const M2P = 0xffff_8000_0000_0000n; // MACH2PHYS_VIRT_START, xen/include/public/arch-x86/xen-x86_64.h
/** struct xencons_interface (xen/include/public/io/console.h): out at 1024, 2048 bytes, its counters behind in's. */
const [RING_OUT, RING_BYTES, OUT_CONS, OUT_PROD] = [1024, 2048, 3080, 3084];
/** vcpu_info 0: evtchn_upcall_mask (xen.h). */
const UPCALL_MASK = 1;

const info = (name: Parameters<typeof startInfo.wide.offsetOf>[0]) => startInfo.wide.offsetOf(name);

/** Text of the guest at `at.TEXT`. */
export function assembleGuest(all: readonly XenProgram[]): Uint8Array {
  const a = new Assembler(64, BigInt.asUintN(64, BigInt(at.TEXT)));
  a.text(START).text(LOOP).text(PRINT).text(TABLES);
  stubs(a);
  all.forEach((program, index) => {
    a.text(`program${index}:`);
    emit(a, program.code(partsOf(index)));
    a.text('jmp program_done');
  });
  a.align(8).text('starts:');
  for (let n = 0; n < all.length; n++) a.dq(a.label(`program${n}`));
  a.text('finish_count:').dq(all.length);
  return a.finish();
}

/** `bytes 0f 0b` stands for just these. */
function emit(a: Assembler, text: string): void {
  for (const line of text.split(/[\n;]/).map((part) => part.trim())) {
    if (!line.startsWith('bytes ')) a.text(line);
    else for (const byte of line.slice(6).split(' ')) a.bytes(Number.parseInt(byte, 16));
  }
}

const START = `
  mov rsp, ${hex(at.STACK_TOP)}
  mov rbx, ${hex(at.START_INFO)}; mov [rbx], rsi; mov r14, rsi
  mov rax, [r14 + ${info('console_mfn')}]; call page_of
  mov rbx, ${hex(at.CONSOLE)}; mov [rbx], rax
  lea rsi, [r14 + ${info('cmd_line')}]; xor r13d, r13d
letter:
  movzx eax, byte ptr [rsi]; inc rsi; test eax, eax; je started
  cmp eax, 0x3d; jne digit
  xor r13d, r13d
digit:
  sub eax, 0x30; cmp eax, 9; ja letter
  imul r13d, r13d, 10; add r13d, eax; jmp letter
started:
  mov rbx, ${hex(at.INDEX)}; mov [rbx], r13
  mov rdi, ${hex(at.SHARED_INFO)}; mov rsi, [r14 + ${info('shared_info')}]; or rsi, 3; mov edx, ${UVMF_INVLPG}
  mov eax, ${HYPERVISOR.update_va_mapping}; syscall`;

const LOOP = `
next:
  mov rsp, ${hex(at.STACK_TOP)}
  call drain
  mov rbx, ${hex(at.SHARED_INFO)}; mov byte ptr [rbx + ${UPCALL_MASK}], 1
  mov rbx, ${hex(at.CATCH)}; mov qword ptr [rbx], 0
  call set_traps
  mov rbx, ${hex(at.INDEX)}; mov r13, [rbx]
  lea rbx, [finish_count]; cmp r13, [rbx]; jae finish
  mov r15, ${hex(at.RESULTS)}
  lea rbx, [starts]; mov rax, [rbx + r13 * 8]; jmp rax
program_done:
  mov rsp, ${hex(at.STACK_TOP)}
  mov al, 0x23; call put
  mov rbx, ${hex(at.INDEX)}; mov rax, [rbx]; call put_hex
  mov r12, ${hex(at.RESULTS)}
result:
  cmp r12, r15; jae results_done
  mov al, 0x20; call put
  mov rax, [r12]; call put_hex
  add r12, 8; jmp result
results_done:
  mov al, 0x0a; call put
  mov rbx, ${hex(at.INDEX)}; inc qword ptr [rbx]
  jmp next
finish:
  mov al, 0x2e; call put; mov al, 0x0a; call put; call drain
  mov rsi, ${hex(at.SCRATCH)}; mov dword ptr [rsi], 0; mov edi, ${SCHEDOP_shutdown}
  mov eax, ${HYPERVISOR.sched_op}; syscall
  jmp finish`;

/** `put`: AL to the ring. `put_hex`: RAX. `drain`: waits until the other end has read everything. */
const PRINT = `
put:
  push rbx; push rcx
  mov rbx, ${hex(at.CONSOLE)}; mov rbx, [rbx]
  mov ecx, [rbx + ${OUT_PROD}]; and ecx, ${RING_BYTES - 1}
  mov [rbx + rcx + ${RING_OUT}], al
  inc dword ptr [rbx + ${OUT_PROD}]
  mov ecx, [rbx + ${OUT_PROD}]; sub ecx, [rbx + ${OUT_CONS}]; cmp ecx, ${RING_BYTES - 64}; jb put_done
  call drain
put_done:
  pop rcx; pop rbx; ret
put_hex:
  push rbx; push rcx; push rdx
  mov rbx, rax; mov ecx, 64
skip:
  sub ecx, 4; je nibble
  mov rdx, rbx; shr rdx, cl; je skip
nibble:
  mov rax, rbx; shr rax, cl; and eax, 15; cmp eax, 10; jb decimal
  add eax, 39
decimal:
  add eax, 0x30; call put
  sub ecx, 4; jns nibble
  pop rdx; pop rcx; pop rbx; ret
drain:
  push rax; push rbx; push rcx; push rdi; push rsi; push r11
  mov rsi, ${hex(at.START_INFO)}; mov rsi, [rsi]; mov eax, [rsi + ${info('console_evtchn')}]
  mov rsi, ${hex(at.SCRATCH)}; mov [rsi], eax; mov edi, ${EVTCHNOP_send}; mov eax, ${HYPERVISOR.event_channel_op}; syscall
wait:
  mov rbx, ${hex(at.CONSOLE)}; mov rbx, [rbx]
  mov eax, [rbx + ${OUT_PROD}]; cmp eax, [rbx + ${OUT_CONS}]; je drained
  mov edi, ${SCHEDOP_yield}; xor esi, esi; mov eax, ${HYPERVISOR.sched_op}; syscall
  jmp wait
drained:
  pop r11; pop rsi; pop rdi; pop rcx; pop rbx; pop rax; ret`;

/**
 * `page_of`: address of the page of the machine frame RAX. `mfn_of`: frame of the page at RDI. `entry_of`: machine address
 * of the entry of level EDX that maps RDI.
 */
const TABLES = `
page_of:
  mov rcx, ${hex(M2P)}; mov rax, [rcx + rax * 8]; shl rax, 12; mov rcx, ${hex(at.VIRT_BASE)}; add rax, rcx; ret
mfn_of:
  mov rcx, ${hex(at.START_INFO)}; mov rcx, [rcx]; mov rcx, [rcx + ${info('mfn_list')}]
  mov rax, ${hex(at.VIRT_BASE)}; sub rdi, rax; shr rdi, 12; mov rax, [rcx + rdi * 8]; ret
entry_of:
  push rbx; push rsi; push r8
  mov rbx, ${hex(at.START_INFO)}; mov rbx, [rbx]; mov rbx, [rbx + ${info('pt_base')}]
  mov esi, 4; mov r8d, 39
level:
  mov ecx, r8d; mov rax, rdi; shr rax, cl; and eax, 511; lea rbx, [rbx + rax * 8]
  cmp esi, edx; je found
  mov rax, [rbx]; mov rcx, 0xffffffffff000; and rax, rcx; shr rax, 12; call page_of; mov rbx, rax
  dec esi; sub r8d, 9; jmp level
found:
  mov rdi, rbx; and ebx, 0xfff; call mfn_of; shl rax, 12; or rax, rbx
  pop r8; pop rsi; pop rbx; ret`;

/** A stub a vector, a table of them for set_trap_table, and what goes on where the program wants. */
function stubs(a: Assembler): void {
  for (let vector = 0; vector < VECTORS; vector++) {
    a.text(`stub${vector}:`);
    const at0 = WITH_ERROR.includes(vector) ? 'mov rax, [rsp + 16]' : 'xor eax, eax';
    const frame = WITH_ERROR.includes(vector) ? 24 : 16;
    a.text(`mov rbx, ${hex(at.CATCH)}; mov qword ptr [rbx + 16], ${vector}; ${at0}; mov [rbx + 24], rax
      lea rsi, [rsp + ${frame}]; jmp caught`);
  }
  a.text(`caught:
    mov rax, [rsi]; mov [rbx + 32], rax; mov rax, [rsi + 8]; mov [rbx + 40], rax; mov rax, [rsi + 16]; mov [rbx + 48], rax
    mov rax, [rsi + 24]; mov [rbx + 56], rax; mov rax, [rsi + 32]; mov [rbx + 64], rax
    mov rax, [rbx]; test rax, rax; je unexpected
    mov rsp, [rbx + 8]; jmp rax
  unexpected:
    mov eax, ${UNEXPECTED}; mov [r15], rax; mov rax, [rbx + 16]; mov [r15 + 8], rax
    mov rax, [rbx + 24]; mov [r15 + 16], rax; add r15, 24; jmp program_done`);
  a.text('set_traps:').text(`mov rbx, ${hex(at.TRAPS)}`);
  for (let vector = 0; vector < VECTORS; vector++)
    a.text(
      `mov eax, ${hex(KERNEL_CS * 65536 + vector)}; mov [rbx], eax; lea rax, [stub${vector}]; mov [rbx + 8], rax; add rbx, 16`,
    );
  a.text(`xor eax, eax; mov [rbx], rax; mov [rbx + 8], rax
    mov rdi, ${hex(at.TRAPS)}; mov eax, ${HYPERVISOR.set_trap_table}; syscall; ret`);
}
