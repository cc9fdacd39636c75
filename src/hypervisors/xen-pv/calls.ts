// Hypercalls of PV guests: how they come in, and which there are.

import type { InstructionExit } from '../../cpu/border.ts';
import { GP, UD } from '../../cpu/control-bits.ts';
import { CS, SS_REG } from '../../cpu/descriptors.ts';
import { FIELDS, GPR_AT, SEG_SELECTOR } from '../../cpu/state.ts';
import { NO_ARGUMENTS } from '../seen.ts';
import { hypercall, hypercallTable } from '../xen/hypercall.ts';
import * as familyCalls from '../xen/hypercalls/index.gen.ts';
import {
  FLAT_RING3_CS,
  FLAT_RING3_CS64,
  FLAT_RING3_DS,
  FLAT_RING3_SS,
  HYPERVISOR_iret,
} from './abi.ts';
import { bounce } from './bounce.ts';
import * as pvCalls from './hypercalls/index.gen.ts';
import { iret64 } from './iret.ts';
import { iret32 } from './iret32.ts';
import { currentVcpu, type PvDomain } from './pv-domain.ts';
import type { CallbackState } from './pv-state.ts';
import { setReturnRegisters } from './return-registers.ts';
import { inject } from './traps.ts';

const RAX = 0;
const RCX = 1;
/** Words of the vCPU's state: RAX with the number of the call. */
const CALL = GPR_AT >> 2;
const IRET = HYPERVISOR_iret;
/** xen/include/public/arch-x86/xen-x86_32.h; the kind of INT n is 0. */
const HYPERCALL_VECTOR = 0x82;

/** What PV guests have beside and instead of the family's. */
export const PV_CALLS = hypercallTable([...Object.values(familyCalls), ...Object.values(pvCalls)]);

/** INT 0x82 in ring 1 is how a 32-bit kernel calls; programs of it, in ring 3, are refused as with any other vector. */
export function isHypercall({ cpu, state }: PvDomain): boolean {
  if (!state.narrow || cpu.state.get(FIELDS.cpl) !== 1) return false;
  return (cpu.state.arg32(0) & 0xff) === HYPERCALL_VECTOR && cpu.state.arg32(1) === 0;
}

export function onHypercall(pv: PvDomain, exit: InstructionExit): void {
  pv.cpu.complete(exit.bytes);
  if (pv.cpu.state.gpr32(RAX) === HYPERVISOR_iret) return iret32(pv);
  hypercall(pv.xen, pv.xen.vcpus[pv.current]!, PV_CALLS, 'pv32', false);
}

/** SYSCALL: a hypercall in the kernel, a system call for the kernel in user mode. */
export function onSyscall(pv: PvDomain, exit: InstructionExit): void {
  if (pv.state.narrow) return onNarrowSystemCall(pv, exit);
  const { kernelMode } = currentVcpu(pv);
  if (!kernelMode && !takesSystemCalls(pv)) return inject(pv, UD, null);
  pv.cpu.complete(exit.bytes);
  answerSyscall(pv, kernelMode);
}

/** There is an entry for the system calls of its programs. */
export const takesSystemCalls = (pv: PvDomain): boolean => systemCallEntry(pv).address !== 0;

/** Whether a call of 64-bit code is answered where it is made, RIP pointing behind it already. False: it has to leave the CPU. */
export function isInPlace(vcpuWords: Int32Array): boolean {
  if (vcpuWords[CALL + 1] !== 0) return false;
  const number = vcpuWords[CALL]!;
  if (number === IRET) return true;
  const call = PV_CALLS.get(number);
  return call !== null && call.inPlace === true;
}

/** The instruction counts as done. */
export function answerSyscall(pv: PvDomain, kernelMode: boolean): void {
  const { vcpuWords } = pv;
  if (!kernelMode) {
    setReturnRegisters(pv);
    return enterKernel(pv);
  }
  if (vcpuWords[CALL] === IRET && vcpuWords[CALL + 1] === 0) return onIret(pv);
  setReturnRegisters(pv);
  hypercall(pv.xen, pv.xen.vcpus[pv.current]!, PV_CALLS, 'pv64', true);
}

function onIret(pv: PvDomain): void {
  iret64(pv, true);
  pv.platform.seen?.('iret', NO_ARGUMENTS, null);
}

/** SYSCALL of a 32-bit guest, whatever ring it is in; without an entry for it, #GP (Xen 4.17, x86_64/compat/entry.S). */
function onNarrowSystemCall(pv: PvDomain, exit: InstructionExit): void {
  const { state } = pv.cpu;
  const entry = currentVcpu(pv).syscall32;
  if ((entry.cs & ~3) === 0) return inject(pv, GP, 0);
  pv.cpu.complete(exit.bytes);
  state.setGpr32(RCX, state.get(FIELDS.rip));
  state.setSeg(CS, SEG_SELECTOR, FLAT_RING3_CS);
  state.setSeg(SS_REG, SEG_SELECTOR, FLAT_RING3_SS);
  bounce(pv, entry, null, entry.masksEvents);
}

/** The kernel's entry for system calls from the running code; address 0: none. */
function systemCallEntry(pv: PvDomain): CallbackState {
  const vcpu = currentVcpu(pv);
  return pv.cpu.state.get(FIELDS.codeMode) === 64 ? vcpu.syscall : vcpu.syscall32;
}

/** The frame names Xen's flat selectors, which the kernel replaces by its own. */
function enterKernel(pv: PvDomain): void {
  const { state } = pv.cpu;
  const entry = systemCallEntry(pv);
  if (state.get(FIELDS.codeMode) === 64) {
    state.setSeg(CS, SEG_SELECTOR, FLAT_RING3_CS64);
    state.setSeg(SS_REG, SEG_SELECTOR, FLAT_RING3_DS);
  }
  bounce(pv, entry, null, entry.masksEvents);
}
