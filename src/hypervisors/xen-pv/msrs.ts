// Model-specific registers as a PV guest's kernel finds them.

import { EFER_LMA, EFER_LME, isCanonical } from '../../cpu/control-bits.ts';
import { FS, GS } from '../../cpu/descriptors.ts';
import {
  MSR_EFER,
  MSR_FS_BASE,
  MSR_GS_BASE,
  MSR_KERNEL_GS_BASE,
  MSR_MISC_ENABLE,
  MSR_PAT,
  MSR_PATCH_LEVEL,
  MSR_TSC,
} from '../../cpu/msr.ts';
import { XEN_HYPERCALL_MSR } from '../xen/abi/hvm.ts';
import { hypercallPage32, hypercallPage64 } from './hypercall-page.ts';
import type { PvDomain } from './pv-domain.ts';

const MSR_APIC_BASE = 0x1b;
const APIC_BASE_VALUE = 0xfee00000;
const APIC_ENABLED = 0x800;
const APIC_BOOT_CPU = 0x100;
const MISC_ENABLE_VALUE = 1;
/** Xen's own layout, which PTE bits of PV guests refer to: WB WT UC- UC WC WP UC UC (Xen 4.17, asm/processor.h). */
const XEN_PAT: readonly [lo: number, hi: number] = [0x00070406, 0x00000501];

/** Bases that a 32-bit guest does not have. */
const WIDE_ONLY: ReadonlySet<number> = new Set([MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE]);

/** Without what a 32-bit guest does not have (Xen 4.17, pv/emul-priv-op.c). */
function shownEfer({ cpu, state }: PvDomain): number {
  const efer = cpu.state.get('efer');
  return state.narrow ? efer & ~(EFER_LME | EFER_LMA) : efer;
}

/** False: #GP(0). */
export function readPvMsr(pv: PvDomain, index: number, out: Uint32Array): boolean {
  const { cpu, current } = pv;
  const { state } = cpu;
  if (pv.state.narrow && WIDE_ONLY.has(index)) return false;
  switch (index) {
    case MSR_FS_BASE:
      return put(out, state.segBase(FS));
    case MSR_GS_BASE:
      return put(out, state.segBase(GS));
    case MSR_KERNEL_GS_BASE:
      return put(out, state.getVa('kernelGsBase'));
    case MSR_EFER:
      return put(out, shownEfer(pv));
    case MSR_APIC_BASE:
      return put(out, APIC_BASE_VALUE | APIC_ENABLED | (current === 0 ? APIC_BOOT_CPU : 0));
    case MSR_PAT:
      out.set(XEN_PAT);
      return true;
    case MSR_MISC_ENABLE:
      return put(out, MISC_ENABLE_VALUE);
    case MSR_PATCH_LEVEL:
    case XEN_HYPERCALL_MSR:
      return put(out, 0);
    case MSR_TSC: {
      const tsc = BigInt.asUintN(64, cpu.cx.tsc());
      out.set([Number(tsc & 0xffffffffn), Number(tsc >> 32n)]);
      return true;
    }
    default:
      return false;
  }
}

export function writePvMsr(pv: PvDomain, index: number, lo: number, hi: number): boolean {
  const { state } = pv.cpu;
  const va = (hi | 0) * 4294967296 + (lo >>> 0);
  if (pv.state.narrow && WIDE_ONLY.has(index)) return false;
  switch (index) {
    case MSR_FS_BASE:
      if (!isCanonical(va)) return false;
      state.setSegBase(FS, va);
      return true;
    case MSR_GS_BASE:
      if (!isCanonical(va)) return false;
      state.setSegBase(GS, va);
      return true;
    case MSR_KERNEL_GS_BASE:
      if (!isCanonical(va)) return false;
      state.setVa('kernelGsBase', va);
      return true;
    case MSR_EFER:
      return lo >>> 0 === shownEfer(pv) && hi === 0;
    case MSR_PAT:
      return lo >>> 0 === XEN_PAT[0] && hi >>> 0 === XEN_PAT[1];
    case MSR_MISC_ENABLE:
      return lo >>> 0 === MISC_ENABLE_VALUE && hi === 0;
    case MSR_PATCH_LEVEL:
      return true;
    case XEN_HYPERCALL_MSR:
      return putHypercallPage(pv, lo >>> 0, hi >>> 0);
    default:
      return false;
  }
}

/** The frame, and in the low bits which page of them: there is one. */
function putHypercallPage({ state, frames, platform }: PvDomain, lo: number, hi: number): boolean {
  const mfn = hi * 0x10_0000 + (lo >>> 12);
  if ((lo & 0xfff) !== 0 || !frames.mayBeWritten(mfn)) return false;
  platform.ram.write(mfn * 4096, state.narrow ? hypercallPage32() : hypercallPage64());
  return true;
}

function put(out: Uint32Array, value: number): true {
  out[0] = value >>> 0;
  out[1] = Math.floor(value / 4294967296) >>> 0;
  return true;
}
