// Segments and handlers of the probe kernel as a guest of Xen PV: tables that Xen has checked, and handlers instead of gates.

import type { GuestCode, GuestOperation, GuestOperationId } from '../../ops/index.ts';
import * as abi from './abi.ts';
import {
  type Bits,
  CALL_CLOBBERS,
  callOp,
  hypercall,
  lazyCall,
  MAP_RO,
  MAP_RW,
} from './guest-calls.ts';
import { MFN, mmuext, protect, TO_MACHINE } from './guest-tables.ts';

const VECTORS_END = 0x81;
/** Software interrupts are anybody's (DPL 3): breakpoint, overflow, system call. */
const ANYBODYS = [3, 4, 0x80];
/** Where Linux has the three descriptors of a thread in the GDT. */
const TLS_AT = 0x30;
/** Xen takes no TSS: the descriptor of the kernel's goes. */
const TSS_AT = [0x80, 0x84, 0x88, 0x8c];

export function descriptorOperations(
  bits: Bits,
): Partial<Record<GuestOperationId, GuestOperation>> {
  const op = callOp(bits);
  const clobbers = CALL_CLOBBERS[bits];
  /** {ax}, where the descriptor lies, [{cx}] its value. */
  const write = (mode: 'now' | 'lazy') => {
    const call = (...args: readonly null[]) =>
      mode === 'now'
        ? hypercall(bits, 'update_descriptor', ...args)
        : lazyCall(bits, 'cpu', 'update_descriptor', ...args);
    return bits === 64
      ? `push qword ptr [rcx]; ${TO_MACHINE[64]}; mov rdi, rax; pop rsi; ${call()}`
      : `push dword ptr [ecx+4]; push dword ptr [ecx]; ${TO_MACHINE[32]}; mov ebx, eax; mov ecx, edi; pop edx; pop esi; ${call()}`;
  };
  const descriptor = op(`lea {ax}, [{ax}+{dx}*8]; ${write('now')}`, 'update_descriptor');
  const loadTls = [0, 8, 16].map(
    (n) =>
      `push {ax}; lea {cx}, [{ax}+${n}]; mov eax, kernel.gdt; add eax, ${TLS_AT + n}; ${write('lazy')}; pop {ax}`,
  );
  const ldtPage = (flags: number) =>
    op(`shr {ax}, 12; ${protect(bits, flags)}`, 'update_va_mapping');
  return {
    'cpu.load_tr_desc': { emit: () => {}, by: 'no-op' },
    'cpu.load_gdt': { emit: loadGdt, clobbers, by: 'set_gdt' },
    'cpu.load_idt': { emit: loadIdt, clobbers, by: 'set_trap_table' },
    'cpu.store_tr': { emit: (code) => void code.text('xor eax, eax'), by: 'no-op' },
    'cpu.set_ldt': op(mmuext(bits, abi.MMUEXT_SET_LDT, 'cpu'), 'mmuext_op.MMUEXT_SET_LDT'),
    'cpu.load_tls': op(loadTls.join('; '), 'update_descriptor', { lazy: 'cpu' }),
    ...(bits === 64 && {
      'cpu.load_gs_index': op(
        hypercall(bits, 'set_segment_base', abi.SEGBASE_GS_USER_SEL, 'rax'),
        'set_segment_base',
      ),
    }),
    'cpu.write_gdt_entry': descriptor,
    'cpu.write_ldt_entry': descriptor,
    'cpu.alloc_ldt': ldtPage(MAP_RO),
    'cpu.free_ldt': ldtPage(MAP_RW),
  };
}

/** Xen checks every descriptor of a page that may not be written from then on. {ax} is where limit and base are. */
function loadGdt(code: GuestCode): void {
  const { bits } = code;
  for (const at of TSS_AT) code.text(`mov dword ptr [kernel.gdt+${at}], 0`);
  code.text('movzx ecx, word ptr [{ax}]; inc ecx; shr ecx, 3; mov [xen_pv.op+8], {cx}');
  code.text(
    `mov {ax}, [{ax}+2]; shr {ax}, 12; ${protect(bits, MAP_RO)}; ${MFN}; mov [xen_pv.op], {ax}`,
  );
  code.text(hypercall(bits, 'set_gdt', 'xen_pv.op', '[xen_pv.op+8]'));
}

/** The handlers of the kernel, whatever gates the table has; interrupts are masked on the way in. */
function loadIdt(code: GuestCode): void {
  const [next, skip, own, common] = ['next', 'skip', 'own', 'common'].map((s) => code.fresh(s));
  const { wide, narrow } = abi.trapInfo;
  const { size, offsetOf } = code.bits === 64 ? wide : narrow;
  const cs = code.bits === 64 ? abi.FLAT_RING3_CS64 : abi.FLAT_RING1_CS;
  code.text(
    `xor ecx, ecx; mov edi, xen_pv.traps; ${next}:; mov {dx}, [kernel.trap_table+{cx}*{W}]`,
  );
  code.text(`test {dx}, {dx}; je ${skip}; mov [{di}], ecx; mov word ptr [{di}+2], ${cs}`);
  code.text(`mov byte ptr [{di}+1], ${abi.TRAP_MASKS_EVENTS}`);
  for (const vector of ANYBODYS) code.text(`cmp ecx, ${vector}; je ${own}`);
  code.text(`jmp ${common}; ${own}:; or byte ptr [{di}+1], ${abi.TRAP_DPL}; ${common}:`);
  code.text(`mov [{di}+${offsetOf('address')}], {dx}; add edi, ${size}; ${skip}:; inc ecx`);
  code.text(`cmp ecx, ${VECTORS_END}; jb ${next}; mov {word} ptr [{di}], 0`);
  code.text(`mov {word} ptr [{di}+${offsetOf('address')}], 0`);
  code.text(hypercall(code.bits, 'set_trap_table', 'xen_pv.traps'));
}
