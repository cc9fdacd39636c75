// Page tables of the probe kernel as a guest of Xen PV: frames of the machine in their entries, changes by mmu_update, pins.

import type { GuestCode, GuestOperation, GuestOperationId } from '../../ops/index.ts';
import { DOMID_SELF } from '../xen/abi/xen.ts';
import * as abi from './abi.ts';
import {
  ARGUMENT,
  type Bits,
  CALL_CLOBBERS,
  callOp,
  FIRST,
  type LAZY,
  lazyCall,
  MACH2PHYS,
  MAP_RO,
  MAP_RW,
} from './guest-calls.ts';

const FRAME_MASK = '0x000ffffffffff000';
/** Of the address in mmu_update: A and D stay as they are (xen.h, MMU_PT_UPDATE_PRESERVE_AD). */
const PRESERVE_AD = `or eax, ${abi.MMU_PT_UPDATE_PRESERVE_AD}; `;
/** Entries of the top table of PAE; the last has Xen's part, and an L2 of its own (arch-x86/xen-x86_32.h). */
const LAST_L3_AT = 24;

/** {ax}, a frame of the guest's, becomes the machine's. SI is lost. */
export const MFN = 'mov {si}, [xen_pv.p2m]; mov {ax}, [{si}+{ax}*{W}]';
const NARROW_MFN = 'mov esi, [xen_pv.p2m]; mov eax, [esi+eax*4]';

/** {ax}, where something lies, becomes its machine address; in 32 bits EDI has the high half. SI and R8 are lost. */
export const TO_MACHINE = {
  32: `mov edi, eax; and edi, 0xfff; shr eax, 12; ${NARROW_MFN}; mov esi, eax; shl eax, 12; or eax, edi; mov edi, esi; shr edi, 20`,
  64: `mov r8, rax; and r8d, 0xfff; shr rax, 12; ${MFN}; shl rax, 12; or rax, r8`,
} as const;

/** mmuext_op of {ax}, and {dx} where it has a second argument. */
export const mmuext = (bits: Bits, command: number, mode: keyof typeof LAZY = 'mmu'): string => {
  const first = FIRST[bits];
  return `${ARGUMENT[bits]}; mov dword ptr [${first}], ${command}; mov [${first}+${bits / 8}], {ax}; mov [${first}+${bits / 4}], {dx}; ${lazyCall(bits, mode, 'mmuext_op', null, 1, 0, DOMID_SELF)}`;
};

/** The guest's page of the number {ax}, one to one, mapped with these flags. AX is kept. */
export function protect(bits: Bits, flags: number): string {
  const head = `push {ax}; mov {${bits === 64 ? 'di' : 'bx'}}, {ax}; shl {${bits === 64 ? 'di' : 'bx'}}, 12; ${MFN}`;
  const call =
    bits === 64
      ? `mov rsi, rax; shl rsi, 12; or rsi, ${flags}; ${lazyCall(bits, 'mmu', 'update_va_mapping', null, null, abi.UVMF_INVLPG)}`
      : `mov ecx, eax; shl ecx, 12; or ecx, ${flags}; mov edx, eax; shr edx, 20; ${lazyCall(bits, 'mmu', 'update_va_mapping', null, null, null, abi.UVMF_INVLPG)}`;
  return `${head}; ${call}; pop {ax}`;
}

/** The entry at {ax} := DX (and CX). */
function updating(bits: Bits, and = ''): string {
  const store =
    bits === 64
      ? 'mov [rdi], rax; mov [rdi+8], rdx'
      : 'mov [ebx], eax; mov [ebx+4], edi; mov [ebx+8], edx; mov [ebx+12], ecx';
  return `${TO_MACHINE[bits]}; ${and}${ARGUMENT[bits]}; ${store}; call xen_pv.update`;
}

export function tableOperations(bits: Bits): Partial<Record<GuestOperationId, GuestOperation>> {
  const op = callOp(bits);
  const lazy = { lazy: 'mmu' } as const;
  const wide = bits === 64;
  const update = op(updating(bits), 'mmu_update', lazy);
  const clear = op(`xor edx, edx; xor ecx, ecx; ${updating(bits)}`, 'mmu_update', lazy);
  const flush = op(
    mmuext(bits, abi.MMUEXT_TLB_FLUSH_LOCAL),
    'mmuext_op.MMUEXT_TLB_FLUSH_LOCAL',
    lazy,
  );
  const pin = (command: number) =>
    op(
      `${protect(bits, MAP_RO)}; ${MFN}; ${mmuext(bits, command)}`,
      'mmuext_op.MMUEXT_PIN_TABLE',
      lazy,
    );
  const unpin = op(
    `push {ax}; ${MFN}; ${mmuext(bits, abi.MMUEXT_UNPIN_TABLE)}; pop {ax}; ${protect(bits, MAP_RW)}`,
    'mmuext_op.MMUEXT_UNPIN_TABLE',
    lazy,
  );
  const newBase = mmuext(bits, abi.MMUEXT_NEW_BASEPTR, 'cpu');
  return {
    'mmu.read_cr3': op('mov {ax}, [xen_pv.cr3]', 'the last one set', { clobbers: [] }),
    // In 64 bits ring 3 has a root of its own: here the same.
    'mmu.write_cr3': op(
      `mov [xen_pv.cr3], {ax}; shr {ax}, 12; ${MFN}; ${wide ? `push rax; ${newBase}; pop rax; ${mmuext(bits, abi.MMUEXT_NEW_USER_BASEPTR, 'cpu')}` : newBase}`,
      'mmuext_op.MMUEXT_NEW_BASEPTR',
      { lazy: 'cpu' },
    ),
    'mmu.flush_tlb_user': flush,
    'mmu.flush_tlb_kernel': flush,
    'mmu.flush_tlb_single': op(
      mmuext(bits, abi.MMUEXT_INVLPG_LOCAL),
      'mmuext_op.MMUEXT_INVLPG_LOCAL',
      lazy,
    ),
    'mmu.set_pte': update,
    'mmu.set_pte_at': update,
    // PAE's halves have to change at once: CMPXCHG8B, which Xen emulates (Linux 6.1, xen/mmu_pv.c, xen_set_pte_atomic).
    'mmu.set_pte_atomic': wide ? update : { emit: storeAtomically, by: 'CMPXCHG8B, emulated' },
    'mmu.pte_clear': clear,
    'mmu.set_pmd': update,
    'mmu.pmd_clear': clear,
    'mmu.set_pud': update,
    ...(wide && { 'mmu.set_pgd': update }),
    // The entry stays as it is until the commit, which keeps the bits that the processor sets (Linux 6.1, xen/mmu_pv.c).
    'mmu.ptep_modify_prot_start': op(
      wide ? 'mov rax, [rax]' : 'mov edx, [eax+4]; mov eax, [eax]',
      'no-op',
      { clobbers: [] },
    ),
    'mmu.ptep_modify_prot_commit': op(
      updating(bits, PRESERVE_AD),
      'mmu_update.MMU_PT_UPDATE_PRESERVE_AD',
      lazy,
    ),
    'mmu.alloc_pte': pin(abi.MMUEXT_PIN_L1_TABLE),
    'mmu.alloc_pmd': pin(abi.MMUEXT_PIN_L2_TABLE),
    ...(wide && { 'mmu.alloc_pud': pin(abi.MMUEXT_PIN_L3_TABLE) }),
    'mmu.pgd_alloc': wide
      ? pin(abi.MMUEXT_PIN_L4_TABLE)
      : op(
          `${OWN_LAST_L2}; ${protect(bits, MAP_RO)}; ${MFN}; ${mmuext(bits, abi.MMUEXT_PIN_L3_TABLE)}`,
          'mmuext_op.MMUEXT_PIN_TABLE',
        ),
    'mmu.release_pte': unpin,
    'mmu.release_pmd': unpin,
    ...(wide && { 'mmu.release_pud': unpin }),
    'mmu.pgd_free': wide
      ? unpin
      : op(
          `push eax; ${NARROW_MFN}; ${mmuext(bits, abi.MMUEXT_UNPIN_TABLE)}; pop eax; ${protect(bits, MAP_RW)}; mov eax, xen_pv.last_l2; shr eax, 12; ${protect(bits, MAP_RW)}`,
          'mmuext_op.MMUEXT_UNPIN_TABLE',
        ),
    'mmu.make_pte': wide ? translateWide('mov rcx, [xen_pv.p2m]') : narrow(makeNarrow),
    'mmu.pte_val': wide ? translateWide(`mov rcx, ${MACH2PHYS[64]}`) : narrow(valueNarrow),
  };
}

/**
 * Before the page EAX becomes a top table of PAE: its last entry, which may not share an L2 with another's (Xen 4.17, pv/mm.c), gets
 * one that is a copy. There is one for the one table that a probe makes.
 */
const OWN_LAST_L2 = [
  `push eax; shl eax, 12; mov ebx, eax; mov ecx, [ebx+${LAST_L3_AT}]; mov edx, [ebx+${LAST_L3_AT + 4}]; shrd ecx, edx, 12`,
  `mov esi, ${MACH2PHYS[32]}; mov esi, [esi+ecx*4]; shl esi, 12; mov edi, xen_pv.last_l2; mov ecx, 1024; cld; rep movsd`,
  `mov eax, xen_pv.last_l2; shr eax, 12; ${NARROW_MFN}; mov edx, eax; shl eax, 12; shr edx, 20; or eax, 1`,
  `mov [ebx+${LAST_L3_AT}], eax; mov [ebx+${LAST_L3_AT + 4}], edx; mov eax, xen_pv.last_l2; shr eax, 12`,
  `${protect(32, MAP_RO)}; pop eax`,
].join('; ');

function storeAtomically(code: GuestCode): void {
  const again = code.fresh('again');
  code.text('push ebx; push esi; mov esi, eax; mov ebx, edx; mov eax, [esi]; mov edx, [esi+4]');
  code.text(`${again}:; lock cmpxchg8b [esi]; jne ${again}; pop esi; pop ebx`);
}

const translateWide = (table: string): GuestOperation => ({
  emit(code) {
    const done = code.fresh('translated');
    code.text(
      `test al, 1; je ${done}; mov rcx, ${FRAME_MASK}; mov rdx, rax; and rdx, rcx; not rcx`,
    );
    code.text(
      `and rax, rcx; shr rdx, 12; ${table}; mov rdx, [rcx+rdx*8]; shl rdx, 12; or rax, rdx; ${done}:`,
    );
  },
});

/** EAX and EDX, an entry; ECX := its frame's number there, and then EAX and EDX with that. */
const narrow = (look: string): GuestOperation => ({
  emit(code) {
    const done = code.fresh('translated');
    code.text(`test al, 1; je ${done}; mov ecx, eax; shr ecx, 12; ${look}; and eax, 0xfff`);
    code.text('mov esi, ecx; shl ecx, 12; or eax, ecx; shr esi, 20; and edx, 0xfff00000');
    code.text(`or edx, esi; ${done}:`);
  },
  clobbers: CALL_CLOBBERS[32],
});
const makeNarrow = 'mov esi, [xen_pv.p2m]; mov ecx, [esi+ecx*4]';
const valueNarrow = `mov esi, edx; and esi, 0xfffff; shl esi, 20; or ecx, esi; mov esi, ${MACH2PHYS[32]}; mov ecx, [esi+ecx*4]`;
