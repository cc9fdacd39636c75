// Ways out of the kernel of the probe as a guest of Xen PV: all are the hypercall iret, with one frame or another.

import type { GuestOperation, GuestOperationId } from '../../ops/index.ts';
import * as abi from './abi.ts';
import type { Bits } from './guest-calls.ts';

/** Selectors of the kernel's own for ring 3, and flags with IF. */
const [USER_CS, USER_DS, IF] = [0x73, 0x7b, 0x202];

const jump = (text: string): GuestOperation => ({
  emit: (code) => void code.text(text),
  by: 'iret',
});

/** struct iret_context (arch-x86/xen-x86_64.h) from its flags on: the rest lies on the stack. */
const wideIret = (flags: number): string =>
  `push ${flags}; push rcx; push r11; push rax; mov eax, ${abi.HYPERVISOR_iret}; syscall`;
/** What lies on the stack anyway, with EAX over it. */
const NARROW_IRET = `push eax; mov eax, ${abi.HYPERVISOR_iret}; int 0x82`;

/** xen_sysret64 and its kind (arch/x86/xen/xen-asm_64.S 2.6.32). */
const sysret = (cs: number, ss: number): GuestOperation =>
  jump(
    `mov rax, rsp; push ${ss}; push rax; push r11; push ${cs}; push rcx; ${wideIret(abi.VGCF_in_syscall)}`,
  );

export function returns(bits: Bits): Partial<Record<GuestOperationId, GuestOperation>> {
  if (bits === 32)
    return {
      'cpu.iret': jump(NARROW_IRET),
      'cpu.irq_enable_sysexit': jump(
        `push ${USER_DS}; push ecx; push ${IF}; push ${USER_CS}; push edx; ${NARROW_IRET}`,
      ),
    };
  return {
    'cpu.iret': jump(wideIret(0)),
    'cpu.usergs_sysret64': sysret(USER_CS, USER_DS),
    'cpu.usergs_sysret32': sysret(abi.FLAT_RING3_CS32, abi.FLAT_RING3_DS),
    'cpu.swapgs': { emit: () => {}, by: 'no-op' },
  };
}
