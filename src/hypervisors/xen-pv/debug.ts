// Debug registers of a PV guest: breakpoints on its own addresses only.

import { CR4_DE } from '../../cpu/control-bits.ts';
import { EINVAL, ENODEV, EPERM } from '../xen/abi/errno.ts';
import { DR6_ALWAYS, DR7_ALWAYS } from './abi.ts';
import { currentVcpu, isGuestAddress, type PvDomain } from './pv-domain.ts';
import type { PvVcpuState } from './pv-state.ts';

/** DR7: which breakpoints are on, and what each waits for. SDM 3B 18.2.4. */
const DR7_ENABLED = 0xff;
const DR7_GENERAL_DETECT = 1 << 13;
const DR7_WRITABLE = 0xffff03ff;
const DR7_CONTROL_SHIFT = 16;
const DR7_CONTROL_BITS = 4;
const CONTROL_IO = 2;
const DR6_WRITABLE = 0xe00f;
const WORD_MAX = 0xffffffff;

/** DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE says that they are none. -1: there is no such register. */
function registerOf({ cr4 }: PvVcpuState, n: number): number {
  if (n === 4 || n === 5) return cr4 & CR4_DE ? -1 : n + 2;
  return n < 8 ? n : -1;
}

/** The register as the guest has set it; null: there is none. */
export function getDebug(pv: PvDomain, n: number): number | null {
  const vcpu = currentVcpu(pv);
  const register = registerOf(vcpu, n);
  return register < 0 ? null : vcpu.debug[register]!;
}

/** Answers 0, or the error of set_debugreg. */
export function setDebug(pv: PvDomain, n: number, value: number): number {
  const register = registerOf(currentVcpu(pv), n);
  if (register < 0) return -ENODEV;
  if (register < 4) return setBreakpoint(pv, register, value);
  if (value < 0 || value > WORD_MAX) return -EINVAL;
  return register === 6 ? setStatus(pv, value) : setControl(pv, value);
}

function setBreakpoint(pv: PvDomain, n: number, value: number): number {
  if (!pv.state.narrow && !isGuestAddress(pv, value)) return -EPERM;
  currentVcpu(pv).debug[n] = value;
  pv.cpu.state.setVa((['dr0', 'dr1', 'dr2', 'dr3'] as const)[n]!, value);
  pv.cpu.mmu.breakpointsChanged();
  return 0;
}

function setStatus(pv: PvDomain, value: number): number {
  const status = ((value & DR6_WRITABLE) | DR6_ALWAYS) >>> 0;
  currentVcpu(pv).debug[6] = status;
  pv.cpu.state.set('dr6', status);
  return 0;
}

/** Accesses to the debug registers themselves are Xen's to notice, and breakpoints at ports need CR4.DE. */
function setControl(pv: PvDomain, value: number): number {
  const vcpu = currentVcpu(pv);
  if (value & DR7_GENERAL_DETECT) return -EPERM;
  const ports = (value & DR7_ENABLED) === 0 ? 0 : portBreakpoints(value);
  if (ports !== 0 && (vcpu.cr4 & CR4_DE) === 0) return -EPERM;
  const control = ((value & DR7_WRITABLE) | DR7_ALWAYS) >>> 0;
  vcpu.debug[7] = control;
  // The guest has no ports, so that nothing ever comes by these.
  const active = control & ~ports;
  pv.cpu.state.set('dr7', active & DR7_ENABLED ? active : DR7_ALWAYS);
  pv.cpu.mmu.breakpointsChanged();
  return 0;
}

/** The bits that enable breakpoints at ports. */
function portBreakpoints(control: number): number {
  let enabled = 0;
  for (let n = 0; n < 4; n++) {
    const kind = (control >>> (DR7_CONTROL_SHIFT + n * DR7_CONTROL_BITS)) & 3;
    if (kind === CONTROL_IO) enabled |= 3 << (n * 2);
  }
  return enabled;
}
