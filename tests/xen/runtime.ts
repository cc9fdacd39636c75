// The PV guest that runs the Xen programs: its traps, and the ways from addresses to frames and table entries.

import { Assembler } from '../../src/cpu/asm.ts';
import { startInfo } from '../../src/hypervisors/xen-pv/start-info.ts';
import { CAUGHT, emitPrograms, FIRST_INDEX, loopText, printText } from './guest.ts';
import * as at from './layout.ts';
import { hex, partsOf, type XenProgram } from './program.ts';

const KERNEL_CS = 0xe033;
const HYPERVISOR = { set_trap_table: 0, update_va_mapping: 14 };
const UVMF_INVLPG = 2;
/** Exceptions with an error code (SDM 3A 6.13), and how many vectors have stubs. */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17];
const VECTORS = 32;
const M2P = 0xffff_8000_0000_0000n; // MACH2PHYS_VIRT_START, xen/include/public/arch-x86/xen-x86_64.h

const info = (name: Parameters<typeof startInfo.wide.offsetOf>[0]) => startInfo.wide.offsetOf(name);

/** Text of the guest at `at.TEXT`. */
export function assembleGuest(all: readonly XenProgram[]): Uint8Array {
  const a = new Assembler(64, BigInt.asUintN(64, BigInt(at.TEXT)));
  a.text(START).text(loopText('syscall', 'call set_traps')).text(printText('syscall')).text(TABLES);
  stubs(a);
  emitPrograms(
    a,
    all.map(({ code }, index) => code(partsOf(index))),
  );
  return a.finish();
}

const START = `
  mov rsp, ${hex(at.STACK_TOP)}
  mov rbx, ${hex(at.START_INFO)}; mov [rbx], rsi; mov r14, rsi
  mov rax, [r14 + ${info('console_mfn')}]; call page_of
  mov rbx, ${hex(at.CONSOLE)}; mov [rbx], rax
  lea rsi, [r14 + ${info('cmd_line')}]
  mov eax, [r14 + ${info('console_evtchn')}]; mov rbx, ${hex(at.CONSOLE_PORT)}; mov [rbx], rax
  ${FIRST_INDEX}
  mov rdi, ${hex(at.SHARED_INFO)}; mov rsi, [r14 + ${info('shared_info')}]; or rsi, 3; mov edx, ${UVMF_INVLPG}
  mov eax, ${HYPERVISOR.update_va_mapping}; syscall`;

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
  a.text(CAUGHT);
  a.text('set_traps:').text(`mov rbx, ${hex(at.TRAPS)}`);
  for (let vector = 0; vector < VECTORS; vector++)
    a.text(
      `mov eax, ${hex(KERNEL_CS * 65536 + vector)}; mov [rbx], eax; lea rax, [stub${vector}]; mov [rbx + 8], rax; add rbx, 16`,
    );
  a.text(`xor eax, eax; mov [rbx], rax; mov [rbx + 8], rax
    mov rdi, ${hex(at.TRAPS)}; mov eax, ${HYPERVISOR.set_trap_table}; syscall; ret`);
}
