// What guests on hardware paging find alike, whatever is beneath them: the CPU's own leaves, no foreign MSRs, no calls.

import type { Border } from '../../cpu/border.ts';
import { type CpuModel, cpuidLeaf, cpuModel } from '../../cpu/cpuid.ts';
import type { FeatureName } from '../../cpu/cpuid-features.ts';
import type { MachineModelId } from '../../machine/models/registry.ts';
import type { Platform } from '../define.ts';

/** Machines with devices, the least first. */
export const HARDWARE_MACHINES: readonly MachineModelId[] = ['microvm', 'pc'];
/** What the machine's local APIC adds to the CPU's features. */
const MACHINE_FEATURES: readonly FeatureName[] = ['apic', 'x2apic', 'tsc_deadline_timer', 'arat'];
/** IA32_APIC_BASE, and its global enable bit: CPUID's APIC bit follows it (SDM 3A 11.4.3). */
const MSR_APIC_BASE = 0x1b;
const APIC_GLOBAL_ENABLE = 1 << 11;
const LEAF1_EDX_APIC = 1 << 9;

export type HardwareBorder = Pick<Border, 'cpuid' | 'rdmsr' | 'wrmsr' | 'hypercall'>;

/** What an interface changes of the CPU's features. */
export interface FeatureChanges {
  readonly more?: readonly FeatureName[];
  readonly less?: readonly FeatureName[];
}

export function hardwareBorder(
  { devices }: Platform,
  changes: FeatureChanges = {},
): HardwareBorder {
  const model = machineModel(changes);
  const msr = new Uint32Array(2);
  return {
    cpuid(leaf, subleaf, out) {
      cpuidLeaf(model, leaf, subleaf, out);
      if (leaf !== 1 && leaf !== 0x80000001) return;
      devices.rdmsr(MSR_APIC_BASE, msr);
      if ((msr[0]! & APIC_GLOBAL_ENABLE) === 0) out[3]! &= ~LEAF1_EDX_APIC;
    },
    rdmsr: (index, out) => devices.ownsMsr(index) && devices.rdmsr(index, out),
    wrmsr: (index, lo, hi) => devices.ownsMsr(index) && devices.wrmsr(index, lo, hi),
    hypercall: () => false,
  };
}

function machineModel({ more = [], less = [] }: FeatureChanges): CpuModel {
  const model = cpuModel([...MACHINE_FEATURES, ...more]);
  const features = new Set(model.features);
  for (const name of less) features.delete(name);
  return { ...model, features };
}

/** CPUID leaf 1 EAX and EDX, for firmware tables. */
export function processorFacts(): { signature: number; features: number } {
  const out = new Uint32Array(4);
  cpuidLeaf(machineModel({}), 1, 0, out);
  return { signature: out[0]!, features: out[3]! };
}
