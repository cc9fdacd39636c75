// What SYSCALL itself does to registers: RIP goes into RCX and the flags into R11. SDM 2B SYSCALL.

import { settleFlags } from '../../cpu/flags.ts';
import { FIELDS, GPR_AT } from '../../cpu/state.ts';
import type { PvDomain } from './pv-domain.ts';

/** Words of the vCPU's state. */
const RIP = FIELDS.rip.at >> 2;
const RCX = (GPR_AT >> 2) + 2 * 1;
const R11 = (GPR_AT >> 2) + 2 * 11;

export function setReturnRegisters({ cpu, vcpuWords }: PvDomain): void {
  vcpuWords[RCX] = vcpuWords[RIP]!;
  vcpuWords[RCX + 1] = vcpuWords[RIP + 1]!;
  vcpuWords[R11] = settleFlags(cpu.state);
  vcpuWords[R11 + 1] = 0;
}
