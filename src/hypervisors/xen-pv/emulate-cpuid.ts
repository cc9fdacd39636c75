// CPUID as a PV guest sees it, also behind the prefix by which its kernel asks Xen rather than the processor.

import { cpuidLeaf, cpuModel } from '../../cpu/cpuid.ts';
import type { FeatureName } from '../../cpu/cpuid-features.ts';
import {
  XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD,
  XEN_CPUID_FIRST_LEAF,
  XEN_CPUID_MAX_NUM_LEAVES,
  XEN_CPUID_SIGNATURE,
  XEN_HYPERCALL_MSR,
} from '../xen/abi/hvm.ts';
import { XEN_VERSION } from '../xen/hypercalls/xen-version.ts';
import { isGuestAddress, linearRip, type PvDomain } from './pv-domain.ts';

/**
 * What Xen never shows a PV guest: what needs ring 0 or page-table bits that are Xen's own. XSAVE and its relatives and
 * FSGSBASE are left out with them: a toolstack may mask anything.
 */
const HIDDEN: readonly FeatureName[] = [
  'vme',
  'pse',
  'mtrr',
  'pge',
  'pse36',
  'sep',
  'monitor',
  'pcid',
  'x2apic',
  'tsc_deadline_timer',
  'xsave',
  'xsaveopt',
  'xsavec',
  'xgetbv1',
  'fsgsbase',
  'smep',
  'smap',
  'invpcid',
  'umip',
  'pku',
  'tsc_adjust',
  'pdpe1gb',
  'rdtscp',
  'rdpid',
  'constant_tsc',
];
const SHOWN: readonly FeatureName[] = ['hypervisor'];

/** Where a 32-bit guest is concerned there is no long mode (Xen 4.17, arch/x86/cpuid.c). */
const HIDDEN_FROM_NARROW: readonly FeatureName[] = ['lm'];

export const PV_MODEL = pvModel([]);
const NARROW_MODEL = pvModel(HIDDEN_FROM_NARROW);

function pvModel(more: readonly FeatureName[]) {
  const model = cpuModel(SHOWN);
  const features = new Set(model.features);
  for (const name of [...HIDDEN, ...more]) features.delete(name);
  return { ...model, features };
}

export function pvCpuid(narrow: boolean, leaf: number, subleaf: number, out: Uint32Array): void {
  const asked = leaf >>> 0;
  if (asked >= XEN_CPUID_FIRST_LEAF && asked <= XEN_CPUID_FIRST_LEAF + 0xffff)
    return xenLeaf(asked, out);
  cpuidLeaf(narrow ? NARROW_MODEL : PV_MODEL, leaf, subleaf, out);
}

/** Leaves of xen/include/public/arch-x86/cpuid.h. */
function xenLeaf(leaf: number, out: Uint32Array): void {
  out.fill(0);
  switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
      out.set([XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES, ...XEN_CPUID_SIGNATURE]);
      return;
    case 1:
      out[0] = (XEN_VERSION.major << 16) | XEN_VERSION.minor;
      return;
    case 2:
      out.set([1, XEN_HYPERCALL_MSR, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0]);
      return;
    case 5:
      // Frame numbers fit 32 bits, and so does what a grant entry of version 1 can name.
      out[1] = 40;
      return;
    default:
      return;
  }
}

/** ud2a; "xen"; cpuid (arch-x86/xen.h, XEN_CPUID). */
const FORCED = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2];
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;

/** True: it was the prefixed CPUID, and has been executed. */
export function emulateForcedCpuid(pv: PvDomain): boolean {
  const { cpu } = pv;
  const { state, mmu } = cpu;
  const at = linearRip(pv);
  if (!isGuestAddress(pv, at) || !mmu.read(at, FORCED.length, 'current')) return false;
  for (let n = 0; n < FORCED.length; n++) if (mmu.buf.getUint8(n) !== FORCED[n]) return false;
  const out = new Uint32Array(4);
  const [leaf, subleaf] = [state.gpr32(RAX), state.gpr32(RCX)];
  pvCpuid(pv.state.narrow, leaf, subleaf, out);
  const effect = `0x${out[0]!.toString(16)}`;
  pv.platform.seen?.('CPUID behind XEN_EMULATE_PREFIX', { leaf, subleaf }, effect);
  state.setGpr32(RAX, out[0]!);
  state.setGpr32(RBX, out[1]!);
  state.setGpr32(RCX, out[2]!);
  state.setGpr32(RDX, out[3]!);
  cpu.complete(FORCED.length);
  return true;
}
