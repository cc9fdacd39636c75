// Exits of a PV guest: exceptions go to its own handlers, unless Xen has something to do with them first.

import type { ExceptionExit, InstructionExit } from '../../cpu/border.ts';
import { BP, CR0_TS, DB, GP, NM, OF, PF, UD } from '../../cpu/control-bits.ts';
import { recomputeFpuFaults } from '../../cpu/fpu-fault.ts';
import { POLICY_INT, POLICY_INTERRUPTS, POLICY_SYSCALL } from '../../cpu/policy.ts';
import { TRAP_DPL, TRAP_MASKS_EVENTS } from './abi.ts';
import { bounce } from './bounce.ts';
import { emulatePrivileged } from './emulate.ts';
import { emulateForcedCpuid } from './emulate-cpuid.ts';
import { mapLdtPage } from './ldt.ts';
import { countsAsRing, currentVcpu, inKernel, isGuestAddress, type PvDomain } from './pv-domain.ts';
import { emulateTableWrite } from './table-writes.ts';
import { LDT_PAGES, ldtAt } from './xen-space.ts';

/** Error code of #PF. SDM 3A 4.7. */
const PF_P = 1;
const PF_W = 2;
const PF_U = 4;
const PF_RSVD = 8;
/** What the hardware's error code may say of a write to a page that is mapped read-only. */
const READ_ONLY = PF_P | PF_W;
/** Vectors with an error code. SDM 3A 6.3.1. */
const WITH_ERROR = (1 << 8) | (0x1f << 10) | (1 << 17) | (1 << 21);
/** vcpu_info.arch.cr2 (xen.h), in both widths. */
const INFO_CR2 = 16;
const INFO_CR2_NARROW = 8;
/** Kinds of software interrupt, as the CPU's slow path passes them. */
const INT3 = 1;
const INTO = 2;
const ICEBP = 3;
/** Error code of a software interrupt that is refused: its vector, and that it went through the IDT. SDM 3A 6.13. */
const idtError = (vector: number) => (vector << 3) | 2;

/** The guest's own handler for a vector. */
export function inject(pv: PvDomain, vector: number, error: number | null): void {
  const vcpu = currentVcpu(pv);
  const masks = (vcpu.trapFlags[vector]! & TRAP_MASKS_EVENTS) !== 0;
  const to = { address: vcpu.trapAddress[vector]!, cs: vcpu.trapCs[vector]! };
  bounce(pv, to, error, masks);
}

export function injectPageFault(pv: PvDomain, address: number, error: number): void {
  const vcpu = currentVcpu(pv);
  vcpu.cr2 = address;
  const { info } = pv.xen.vcpus[pv.current]!.state;
  const { ram } = pv.platform;
  if (pv.state.narrow) ram.setU32(info + INFO_CR2_NARROW, address >>> 0);
  else ram.setU64(info + INFO_CR2, address >>> 0, Math.floor(address / 4294967296) >>> 0);
  // In ring 3 all faults are the user's to the processor; the guest wants to know whose they really are.
  inject(pv, PF, inKernel(pv) ? error & ~PF_U : error | PF_U);
}

export function onException(pv: PvDomain, exit: ExceptionExit): void {
  const { vector, error, address } = exit;
  switch (vector) {
    case PF:
      return onPageFault(pv, address, error ?? 0);
    case GP:
      if (error === 0 && emulatePrivileged(pv)) return;
      return inject(pv, GP, error ?? 0);
    case UD:
      if (emulateForcedCpuid(pv)) return;
      return inject(pv, UD, null);
    case NM:
      return onDeviceNotAvailable(pv);
    case DB:
      currentVcpu(pv).debug[6] = pv.cpu.state.get('dr6');
      return inject(pv, DB, null);
    default:
      return inject(pv, vector, (WITH_ERROR >>> vector) & 1 ? (error ?? 0) : null);
  }
}

function onPageFault(pv: PvDomain, address: number, error: number): void {
  if (!isGuestAddress(pv, address)) {
    if ((error & (PF_U | PF_RSVD)) === 0 && onDescriptorFault(pv, address, error)) return;
  } else if ((error & ~PF_U) === READ_ONLY && inKernel(pv) && emulateTableWrite(pv, address)) {
    return;
  }
  injectPageFault(pv, address, error);
}

/** The processor has looked into an LDT page that is not mapped yet. The guest hears of a bad one at its own address. */
function onDescriptorFault(pv: PvDomain, address: number, error: number): boolean {
  const offset = address - ldtAt(pv.current);
  if (offset < 0 || offset >= LDT_PAGES * 4096) return false;
  if (mapLdtPage(pv, offset)) return true;
  const vcpu = currentVcpu(pv);
  if (vcpu.ldtBase === 0 || offset >= vcpu.ldtEntries * 8) return false;
  injectPageFault(pv, vcpu.ldtBase + offset, error);
  return true;
}

/** Xen gives the guest its registers back with TS clear, whether it has asked for the trap or not. */
function onDeviceNotAvailable(pv: PvDomain): void {
  const { state } = pv.cpu;
  state.set('cr0', state.get('cr0') & ~CR0_TS);
  recomputeFpuFaults(state);
  const vcpu = currentVcpu(pv);
  if (!vcpu.taskSwitched) return;
  vcpu.taskSwitched = false;
  inject(pv, NM, null);
}

/** INT n. SYSCALL is the caller's. */
export function onInterruptInstruction(pv: PvDomain, exit: InstructionExit): void {
  const { cpu } = pv;
  const vector = cpu.state.arg32(0) & 0xff;
  const kind = cpu.state.arg32(1);
  const { bytes } = exit;
  if (kind === ICEBP) {
    cpu.complete(bytes);
    return inject(pv, DB, null);
  }
  if (kind === INT3 || kind === INTO || vector === BP || vector === OF) {
    cpu.complete(bytes);
    return inject(pv, vector, null);
  }
  if (!isDirect(pv, vector) && !mayInterrupt(pv, vector)) return inject(pv, GP, idtError(vector));
  cpu.complete(bytes);
  inject(pv, vector, null);
}

/** Xen lets 0x80 through to an entry that is there without a look at its privilege (Xen 4.17, int80_direct_trap). */
function isDirect(pv: PvDomain, vector: number): boolean {
  if (vector !== 0x80) return false;
  const { trapAddress, trapCs } = currentVcpu(pv);
  return pv.state.narrow ? (trapCs[vector]! & ~3) !== 0 : trapAddress[vector] !== 0;
}

function mayInterrupt(pv: PvDomain, vector: number): boolean {
  return (currentVcpu(pv).trapFlags[vector]! & TRAP_DPL) >= countsAsRing(pv);
}

/** What exits on a PV guest beside exceptions: system calls, INT n, and the interrupt that ends a wait. */
export const PV_INSTRUCTIONS = POLICY_SYSCALL | POLICY_INT | POLICY_INTERRUPTS;
