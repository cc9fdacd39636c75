// A PV domain as its calls and traps see it: the family's domain, the frame table, page tables, Xen's space, address spaces.

import type { Cpu } from '../../cpu/core.ts';
import { CS, GS, LDTR, setNullSegment, setSegmentTo } from '../../cpu/descriptors.ts';
import { FIELDS, SEG_SELECTOR } from '../../cpu/state.ts';
import type { InterfacePower } from '../../machine/power.ts';
import type { Platform } from '../define.ts';
import type { Call } from '../xen/define.ts';
import type { XenDomain } from '../xen/domain.ts';
import type { XenGuest } from '../xen/memory.ts';
import { HYPERVISOR_VIRT_START_PAE, VMASST_TYPE_architectural_iopl } from './abi.ts';
import type { FrameTable } from './frames.ts';
import type { PageTables } from './page-tables.ts';
import type { PvState, PvVcpuState } from './pv-state.ts';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START, ldtAt, type XenSpace } from './xen-space.ts';

const ATTR_LDT = 0x82;

export interface PvDomain {
  readonly platform: Platform;
  readonly cpu: Cpu;
  readonly power: InterfacePower;
  readonly state: PvState;
  readonly frames: FrameTable;
  readonly tables: PageTables;
  readonly space: XenSpace;
  /** The family's half; set when it is made. */
  xen: XenDomain;
  /** The vCPU that runs. */
  current: number;
  /** A call or a trap of the guest is being answered: events are looked at when that is done. */
  answering: boolean;
  /** The CPU's linear memory by words, and of that the vCPU's state: what is asked at every call and event goes by these, signed as tlbPlace wants it. */
  readonly words: Int32Array;
  readonly vcpuWords: Int32Array;
  /** The same memory by bytes, and where RAM begins in it. */
  readonly bytes: Uint8Array;
  readonly ramBase: number;
  /** Room for a frame on the guest's stack; nothing of it outlives a bounce or a return. */
  readonly frame: Int32Array;
}

export interface PvGuest extends XenGuest {
  readonly pv: PvDomain;
}

/** The PV half of the domain that a call comes from. */
export function pvOf({ domain }: Pick<Call, 'domain'>): PvDomain {
  return (domain.guest as PvGuest).pv;
}

export function currentVcpu(pv: PvDomain): PvVcpuState {
  return pv.state.vcpus[pv.current]!;
}

/** Xen refuses to touch its own part of the address space for a guest. */
export function isGuestAddress(
  { state }: { readonly state: { readonly narrow: boolean } },
  va: number,
): boolean {
  if (state.narrow) return va >= 0 && va < HYPERVISOR_VIRT_START_PAE;
  return va < HYPERVISOR_VIRT_START || va >= HYPERVISOR_VIRT_END;
}

/** The kernel of the guest runs, and not a program of it. */
export function inKernel(pv: PvDomain): boolean {
  if (!pv.state.narrow) return currentVcpu(pv).kernelMode;
  return (pv.cpu.state.seg(CS, SEG_SELECTOR) & 3) === 1;
}

/** The ring that the kernel counts as when privilege is compared: 1, or 0 if it has asked for that; programs are 3. */
export function countsAsRing(pv: PvDomain): number {
  if (!inKernel(pv)) return 3;
  return pv.state.assists & (1 << VMASST_TYPE_architectural_iopl) ? 0 : 1;
}

/** Linear address of the instruction at RIP. */
export function linearRip({ cpu: { state } }: PvDomain): number {
  const rip = state.getVa('rip');
  return state.get('codeMode') === 64 ? rip : (rip + state.segBase(CS)) >>> 0;
}

/** A virtual address, as people write it. */
export function hex(va: number): string {
  return BigInt.asUintN(64, BigInt(va)).toString(16);
}

/** The guest has done what ends it: the run ends with this sentence. */
export function crashDomain(pv: PvDomain, why: string): void {
  pv.power.end(`Xen has ended the domain: ${why} (rip 0x${hex(pv.cpu.state.getVa('rip'))})`);
}

/** Makes the kernel's or the user's tables the running ones; translations of user pages that both have stay. */
export function loadTable(pv: PvDomain, mfn: number): void {
  pv.cpu.state.setVa(FIELDS.cr3, mfn * 4096);
  pv.cpu.mmu.flushNonGlobal();
}

/** Another address space: nothing of the old one stays. */
export function loadNewTable(pv: PvDomain, mfn: number): void {
  const root = pv.state.narrow ? pv.space.underTop(mfn) : mfn;
  pv.cpu.state.setVa(FIELDS.cr3, root * 4096);
  pv.tables.flushAll();
}

/** From user to kernel or back: tables, and the GS base of the other mode. */
export function toggleMode(pv: PvDomain, vcpu: PvVcpuState): void {
  const { state } = pv.cpu;
  vcpu.kernelMode = !vcpu.kernelMode;
  const gs = state.segBase(GS);
  state.setSegBase(GS, state.getVa(FIELDS.kernelGsBase));
  state.setVa(FIELDS.kernelGsBase, gs);
  loadTable(pv, vcpu.kernelMode ? vcpu.kernelTable : vcpu.userTable);
}

/** The LDT that the guest has asked for; its pages are checked and mapped when they are first looked at. */
export function loadLdt(pv: PvDomain, vcpu: PvVcpuState): void {
  const { state } = pv.cpu;
  if (vcpu.ldtEntries === 0) {
    setNullSegment(state, LDTR, 0);
    return;
  }
  const selector = 0xe050; // Xen's own entry for it; guests see it by SLDT only.
  setSegmentTo(state, LDTR, selector, ldtAt(pv.current), vcpu.ldtEntries * 8 - 1, ATTR_LDT);
}

/** Lets go of all LDT pages that are mapped. */
export function dropLdt(pv: PvDomain, vcpu: PvVcpuState): void {
  for (let n = 0; n < vcpu.ldtFrames.length; n++) {
    const mfn = vcpu.ldtFrames[n]!;
    if (mfn < 0) continue;
    vcpu.ldtFrames[n] = -1;
    pv.space.mapLdt(pv.current, n, -1);
    pv.tables.putFrameAndType(mfn);
  }
}

export function dropGdt(pv: PvDomain, vcpu: PvVcpuState): void {
  for (let n = 0; n < vcpu.gdtFrames.length; n++) {
    const mfn = vcpu.gdtFrames[n]!;
    if (mfn < 0) continue;
    vcpu.gdtFrames[n] = -1;
    pv.space.mapGdt(pv.current, n, -1);
    pv.tables.putFrameAndType(mfn);
  }
}
