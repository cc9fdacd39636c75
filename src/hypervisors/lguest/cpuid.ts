// CPUID of the host's processor, which its guest executes by itself: what a 32-bit guest in ring 1 cannot use is not in it.

import { cpuidLeaf, cpuModel } from '../../cpu/cpuid.ts';
import type { FeatureName } from '../../cpu/cpuid-features.ts';

/** What needs ring 0, or control registers that are the host's; the guest's kernel masks most of it once more. */
const HIDDEN: readonly FeatureName[] = [
  ...(['vme', 'de', 'pse', 'pge', 'pse36', 'mtrr', 'pat', 'mce', 'mca', 'msr', 'sep'] as const),
  ...(['pcid', 'invpcid', 'smep', 'smap', 'umip', 'pku', 'fsgsbase', 'tsc_adjust'] as const),
  ...(['xsave', 'xsaveopt', 'xsavec', 'xgetbv1', 'monitor', 'nx', 'syscall', 'lm'] as const),
  ...(['pdpe1gb', 'rdtscp', 'rdpid'] as const),
];

export const LGUEST_MODEL = lguestModel();

/**
 * A vendor by whose code for the family that lguest's kernels make of it (5) no MSR is touched: arch/x86/kernel/cpu/intel.c
 * against amd.c (2.6.32).
 */
function lguestModel() {
  const model = cpuModel([], { vendor: 'GenuineIntel', family: 6, model: 15 });
  const features = new Set(model.features);
  for (const name of HIDDEN) features.delete(name);
  return { ...model, features };
}

export function lguestCpuid(leaf: number, subleaf: number, out: Uint32Array): void {
  cpuidLeaf(LGUEST_MODEL, leaf, subleaf, out);
}
