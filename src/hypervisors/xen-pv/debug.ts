// Debug registers of a PV guest: breakpoints on its own addresses only.

import { EINVAL, EPERM } from '../xen/abi/errno.ts';
import { currentVcpu, isGuestAddress, type PvDomain } from './pv-domain.ts';

/** DR7: which breakpoints are on, and what each waits for. SDM 3B 18.2.4. */
const DR7_ENABLED = 0xff;
const DR7_ALWAYS = 0x400;
const DR6_ALWAYS = 0xffff0ff0;
const DR6_WRITABLE = 0xe00f;
const DR7_WRITABLE = 0xffff03ff;

/** Answers 0, or the error of set_debugreg. */
export function setDebug(pv: PvDomain, n: number, value: number): number {
  const { cpu } = pv;
  const { state } = cpu;
  const vcpu = currentVcpu(pv);
  switch (n) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (!pv.state.narrow && !isGuestAddress(pv, value)) return -EPERM;
      vcpu.debug[n] = value;
      state.setVa((['dr0', 'dr1', 'dr2', 'dr3'] as const)[n], value);
      break;
    case 4:
    case 6:
      if (value < 0 || value > 0xffffffff) return -EPERM;
      vcpu.debug[6] = ((value & DR6_WRITABLE) | DR6_ALWAYS) >>> 0;
      state.set('dr6', vcpu.debug[6]!);
      return 0;
    case 5:
    case 7:
      if (value < 0 || value > 0xffffffff) return -EPERM;
      vcpu.debug[7] = ((value & DR7_WRITABLE) | DR7_ALWAYS) >>> 0;
      state.set('dr7', vcpu.debug[7]! & DR7_ENABLED ? vcpu.debug[7]! : DR7_ALWAYS);
      break;
    default:
      return -EINVAL;
  }
  cpu.mmu.breakpointsChanged();
  return 0;
}
