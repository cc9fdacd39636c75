// KVM's names of its MSRs, leaves and calls, as its headers have them.

import type { EntryNames } from '../seen.ts';
import * as abi from './abi.ts';
import * as hypercalls from './hypercalls/index.gen.ts';

const MSRS: ReadonlyMap<number, string> = new Map(
  Object.entries(abi).flatMap(([name, value]) =>
    name.startsWith('MSR_KVM_') && typeof value === 'number' ? [[value, name] as const] : [],
  ),
);
const CALLS: ReadonlyMap<number, string> = new Map(
  Object.values(hypercalls).map(({ number, name }) => [number, name]),
);

/** Feature bits by name. */
export const KVM_FEATURES: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(abi).flatMap(([name, value]) =>
    name.startsWith('KVM_FEATURE_') && typeof value === 'number' ? [[name, value] as const] : [],
  ),
);

export const KVM_MSR_NAMES = MSRS;

export const KVM_ENTRY_NAMES: EntryNames = {
  msr: (index) => MSRS.get(index) ?? null,
  cpuid: (leaf) =>
    leaf === abi.KVM_CPUID_SIGNATURE
      ? 'KVM_CPUID_SIGNATURE'
      : leaf === abi.KVM_CPUID_FEATURES
        ? 'KVM_CPUID_FEATURES'
        : null,
  hypercall: (number) => CALLS.get(number) ?? `KVM call ${number}`,
};
