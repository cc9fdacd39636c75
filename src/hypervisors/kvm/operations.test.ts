// The manifest against the code: what a version offers is what it lists.

import { expect, it } from 'vitest';
import { testPlatform } from '../testing/platform.ts';
import * as abi from './abi.ts';
import * as hypercalls from './hypercalls/index.gen.ts';
import { readKvmMsr } from './msrs.ts';
import { KVM_MANIFEST } from './operations.ts';
import { freshKvmState, type KvmVcpu } from './vcpu.ts';
import { KVM_VERSIONS } from './versions.ts';

/** Names that a version lists as working, without their sub-operations. */
function listed(version: string, prefix: string): Set<string> {
  const entries = [...Object.values(KVM_MANIFEST.operations).flat(), ...KVM_MANIFEST.others];
  return new Set(
    entries
      .filter(({ name }) => name.startsWith(prefix))
      .filter(({ versions, status }) => !status && (versions?.includes(version) ?? true))
      .map(({ name }) => name.split('.')[0]!),
  );
}

it.each(KVM_VERSIONS)('$name lists exactly the calls that it offers', (version) => {
  const offered = Object.values(hypercalls).filter((call) => call.offered(version));
  expect([...listed(version.name, 'KVM_HC_')].sort()).toEqual(offered.map((c) => c.name).sort());
});

it.each(KVM_VERSIONS)('$name lists exactly the MSRs that can be read', (version) => {
  const vcpu = { version, state: freshKvmState(), platform: testPlatform() } as KvmVcpu;
  const numbers = Object.entries(abi).filter(([name]) => name.startsWith('MSR_KVM_'));
  const readable = numbers.filter(([, n]) => readKvmMsr(vcpu, n as number, new Uint32Array(2)));
  expect([...listed(version.name, 'MSR_KVM_')].sort()).toEqual(
    readable.map(([name]) => name).sort(),
  );
});
