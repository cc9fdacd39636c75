// What the guests of the Xen programs have in common, PV and PVH: a program after the other, `#index results` on the console's ring.

import type { Assembler } from '../../src/cpu/asm.ts';
import * as at from './layout.ts';
import { hex } from './program.ts';

/** xen/include/public/xen.h, sched.h, event_channel.h */
const CALL = { sched_op: 29, event_channel_op: 32 };
const SCHEDOP_yield = 0;
const SCHEDOP_shutdown = 2;
const EVTCHNOP_send = 4;
/** struct xencons_interface (xen/include/public/io/console.h): out at 1024, 2048 bytes, its counters behind in's. */
const [RING_OUT, RING_BYTES, OUT_CONS, OUT_PROD] = [1024, 2048, 3080, 3084];
/** vcpu_info 0: evtchn_upcall_mask (xen.h). */
const UPCALL_MASK = 1;
/** What a program leaves that faults where it did not mean to. */
export const UNEXPECTED = 0xdead;

/** The number behind the last `=` of the text at RSI is the first index. */
export const FIRST_INDEX = `
  xor r13d, r13d
letter:
  movzx eax, byte ptr [rsi]; inc rsi; test eax, eax; je started
  cmp eax, 0x3d; jne digit
  xor r13d, r13d
digit:
  sub eax, 0x30; cmp eax, 9; ja letter
  imul r13d, r13d, 10; add r13d, eax; jmp letter
started:
  mov rbx, ${hex(at.INDEX)}; mov [rbx], r13`;

/** `hypercall`: code that makes a call; `prepare`: code before each program. */
export const loopText = (hypercall: string, prepare: string): string => `
next:
  mov rsp, ${hex(at.STACK_TOP)}
  call drain
  mov rbx, ${hex(at.SHARED_INFO)}; mov byte ptr [rbx + ${UPCALL_MASK}], 1
  mov rbx, ${hex(at.CATCH)}; mov qword ptr [rbx], 0
  ${prepare}
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
  mov eax, ${CALL.sched_op}; ${hypercall}
  jmp finish`;

/** `put`: AL to the ring. `put_hex`: RAX. `drain`: waits until the other end has read everything. */
export const printText = (hypercall: string): string => `
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
  mov rsi, ${hex(at.CONSOLE_PORT)}; mov eax, [rsi]
  mov rsi, ${hex(at.SCRATCH)}; mov [rsi], eax; mov edi, ${EVTCHNOP_send}; mov eax, ${CALL.event_channel_op}; ${hypercall}
wait:
  mov rbx, ${hex(at.CONSOLE)}; mov rbx, [rbx]
  mov eax, [rbx + ${OUT_PROD}]; cmp eax, [rbx + ${OUT_CONS}]; je drained
  mov edi, ${SCHEDOP_yield}; xor esi, esi; mov eax, ${CALL.sched_op}; ${hypercall}
  jmp wait
drained:
  pop r11; pop rsi; pop rdi; pop rcx; pop rbx; pop rax; ret`;

/** An exception's frame at RSI, from RIP on, and RBX at CATCH with vector and error code behind it: it goes on where the program wants. */
export const CAUGHT = `caught:
    mov rax, [rsi]; mov [rbx + 32], rax; mov rax, [rsi + 8]; mov [rbx + 40], rax; mov rax, [rsi + 16]; mov [rbx + 48], rax
    mov rax, [rsi + 24]; mov [rbx + 56], rax; mov rax, [rsi + 32]; mov [rbx + 64], rax
    mov rax, [rbx]; test rax, rax; je unexpected
    mov rsp, [rbx + 8]; jmp rax
  unexpected:
    mov eax, ${UNEXPECTED}; mov [r15], rax; mov rax, [rbx + 16]; mov [r15 + 8], rax
    mov rax, [rbx + 24]; mov [r15 + 16], rax; add r15, 24; jmp program_done`;

/** The programs' code, and the table of them that the loop knows. */
export function emitPrograms(a: Assembler, codes: readonly string[]): void {
  codes.forEach((code, index) => {
    a.text(`program${index}:`);
    emit(a, code);
    a.text('jmp program_done');
  });
  a.align(8).text('starts:');
  for (let n = 0; n < codes.length; n++) a.dq(a.label(`program${n}`));
  a.text('finish_count:').dq(codes.length);
}

/** `bytes 0f 0b` stands for just these. */
function emit(a: Assembler, text: string): void {
  for (const line of text.split(/[\n;]/).map((part) => part.trim())) {
    if (!line.startsWith('bytes ')) a.text(line);
    else for (const byte of line.slice(6).split(' ')) a.bytes(Number.parseInt(byte, 16));
  }
}
