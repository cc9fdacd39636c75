// KVM: a signature in CPUID, a paravirtual clock, a few MSRs and calls; all else is hardware.

import { bug } from '../../base/errors.ts';
import { NO_EXITS } from '../../cpu/policy.ts';
import { startOfDay } from '../boot/start.ts';
import { defineInterface, type Platform } from '../define.ts';
import {
  type FeatureChanges,
  HARDWARE_MACHINES,
  type HardwareBorder,
  hardwareBorder,
} from '../hw/border.ts';
import { KVM_CPUID_FEATURES, KVM_CPUID_SIGNATURE, KVM_SIGNATURE } from './abi.ts';
import { KVM_ENTRY_NAMES, KVM_FEATURES } from './entry-names.ts';
import { kvmGuest } from './guest.ts';
import { hypercall } from './hypercall.ts';
import { readKvmMsr, writeKvmMsr } from './msrs.ts';
import { KVM_MANIFEST } from './operations.ts';
import { freshKvmState, type KvmVcpu } from './vcpu.ts';
import { KVM_VERSIONS } from './versions.ts';

/**
 * Hosts do not promise an invariant TSC unless told to, because guests move between them (QEMU, `migratable`); a Linux
 * guest that had the promise would prefer the TSC to kvm-clock.
 */
const FEATURES: FeatureChanges = { more: ['hypervisor'], less: ['constant_tsc'] };

export const kvm = defineInterface({
  id: 'kvm',
  title: 'KVM, as a Linux host offers it',
  versions: KVM_VERSIONS.map(({ name }) => name),
  guestNeeds: ['CONFIG_PARAVIRT', 'CONFIG_KVM_GUEST'],
  machines: HARDWARE_MACHINES,
  policy: NO_EXITS,
  ops: KVM_MANIFEST,
  guest: kvmGuest,
  entryNames: KVM_ENTRY_NAMES,
  omits: { kinds: ['hypercall', 'msr'], features: Object.keys(KVM_FEATURES) },
  attach(platform, versionName) {
    const offered = KVM_VERSIONS.find(({ name }) => name === versionName);
    if (!offered) return bug(`kvm has no version ${versionName}`);
    const version = { ...offered, features: featuresLeft(offered.features, platform) };
    const vcpu: KvmVcpu = { platform, version, state: freshKvmState() };
    const { state } = vcpu;
    platform.snapshots.addState('kvm', state);
    return {
      border: border(vcpu, hardwareBorder(platform, FEATURES)),
      start: (guest) => startOfDay(platform, guest),
      // Reading the signature is not enough: kernels look for every hypervisor that they have heard of.
      noticed: () => state.readFeatures || state.wroteMsr || state.called,
    };
  },
});

/** Without those that this run is to lack. */
function featuresLeft(features: number, { lacks }: Platform): number {
  if (!lacks) return features;
  const lacking = Object.entries(KVM_FEATURES).filter(([name]) => lacks(name));
  return lacking.reduce((left, [, bit]) => left & ~bit, features);
}

function border(vcpu: KvmVcpu, hardware: HardwareBorder): HardwareBorder {
  const { state, version } = vcpu;
  return {
    cpuid(leaf, subleaf, out) {
      const asked = leaf >>> 0;
      if (asked === KVM_CPUID_SIGNATURE) {
        out.set([version.maxLeaf, ...KVM_SIGNATURE]);
      } else if (asked === KVM_CPUID_FEATURES) {
        state.readFeatures = true;
        out.set([version.features, 0, 0, 0]);
      } else {
        hardware.cpuid(leaf, subleaf, out);
      }
    },
    rdmsr: (index, out) => readKvmMsr(vcpu, index, out) ?? hardware.rdmsr(index, out),
    wrmsr: (index, lo, hi) => writeKvmMsr(vcpu, index, lo, hi) ?? hardware.wrmsr(index, lo, hi),
    hypercall() {
      state.called = true;
      hypercall(vcpu);
      return true;
    },
  };
}
