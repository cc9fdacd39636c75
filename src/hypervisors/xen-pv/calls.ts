// Hypercalls of a 64-bit PV guest: how they come in, and which there are.

import type { InstructionExit } from '../../cpu/border.ts';
import { UD } from '../../cpu/control-bits.ts';
import { CS, SS_REG } from '../../cpu/descriptors.ts';
import { readFlags } from '../../cpu/flags.ts';
import { GPR_AT, SEG_SELECTOR } from '../../cpu/state.ts';
import { hypercall, hypercallTable } from '../xen/hypercall.ts';
import * as familyCalls from '../xen/hypercalls/index.gen.ts';
import { FLAT_RING3_CS64, FLAT_RING3_DS, HYPERVISOR_iret } from './abi.ts';
import { bounce } from './bounce.ts';
import * as pvCalls from './hypercalls/index.gen.ts';
import { iret64 } from './iret.ts';
import { currentVcpu, type PvDomain } from './pv-domain.ts';
import { inject } from './traps.ts';

const RAX = 0;
const RCX = 1;
const R11 = 11;

/** What PV guests have beside and instead of the family's. */
export const PV_CALLS = hypercallTable([...Object.values(familyCalls), ...Object.values(pvCalls)]);

/** SYSCALL: a hypercall in the kernel, a system call for the kernel in user mode. */
export function onSyscall(pv: PvDomain, exit: InstructionExit): void {
  const { cpu } = pv;
  const { state } = cpu;
  const vcpu = currentVcpu(pv);
  if (!vcpu.kernelMode) return onSystemCall(pv, exit);
  cpu.complete(exit.bytes);
  setReturnRegisters(pv);
  if (state.gpr32(RAX) === HYPERVISOR_iret && state.vaAt(GPR_AT + RAX * 8) === HYPERVISOR_iret)
    return onIret(pv);
  hypercall(pv.xen, pv.xen.vcpus[pv.current]!, PV_CALLS, 'pv64', true);
}

function onIret(pv: PvDomain): void {
  iret64(pv);
  pv.platform.seen?.('iret', {}, null);
}

/** The instruction itself puts RIP into RCX and the flags into R11. SDM 2B SYSCALL. */
function setReturnRegisters({ cpu }: PvDomain): void {
  const { state } = cpu;
  state.setVaAt(GPR_AT + RCX * 8, state.getVa('rip'));
  state.setVaAt(GPR_AT + R11 * 8, readFlags(state));
}

/** The kernel's entry for system calls; the frame names Xen's flat selectors, which the kernel replaces by its own. */
function onSystemCall(pv: PvDomain, exit: InstructionExit): void {
  const { state } = pv.cpu;
  const vcpu = currentVcpu(pv);
  const entry = state.get('codeMode') === 64 ? vcpu.syscall : vcpu.syscall32;
  if (entry.address === 0) return inject(pv, UD, null);
  pv.cpu.complete(exit.bytes);
  setReturnRegisters(pv);
  if (state.get('codeMode') === 64) {
    state.setSeg(CS, SEG_SELECTOR, FLAT_RING3_CS64);
    state.setSeg(SS_REG, SEG_SELECTOR, FLAT_RING3_DS);
  }
  bounce(pv, entry.address, null, entry.masksEvents);
}
