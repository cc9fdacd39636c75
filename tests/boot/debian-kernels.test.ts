// Debian's other stock kernels, and all four of them from their own 16-bit setup code, from their entry to our init.

import { beforeAll, describe, expect, it } from 'vitest';
import type { BootWay, MachineModelId } from '../../src/lab/index.ts';
import { boot, type FoundKernel, findKernel, pulledKernel, titleOf } from './boot.ts';

type Way = readonly [on: string, boot: BootWay, machine: MachineModelId];

/**
 * What each kernel is booted on and by. Directly on both interfaces on a pc, the larger machine; the microvm has the other
 * ways. The cloud kernel's direct boots, on both machines, are in tests of their own.
 */
const KERNELS: Readonly<Record<string, readonly Way[]>> = {
  'debian:12/cloud-amd64': [
    ['native', 'setup', 'microvm'],
    ['native', 'linux64', 'pc'],
    ['kvm', 'linux32', 'microvm'],
  ],
  // Directly on native on a pc: pc-devices.test.ts.
  'debian:12/amd64': [
    ['kvm', 'direct', 'pc'],
    ['kvm', 'setup', 'microvm'],
  ],
  'debian:12/686-pae': [
    ['native', 'direct', 'pc'],
    ['kvm', 'direct', 'pc'],
    ['kvm', 'setup', 'microvm'],
  ],
  'debian:12/686': [
    ['native', 'direct', 'pc'],
    ['kvm', 'direct', 'pc'],
    ['native', 'setup', 'microvm'],
  ],
};

for (const [name, ways] of Object.entries(KERNELS)) {
  const pulled = await pulledKernel(name);

  describe.skipIf(!pulled)(titleOf(name, pulled), () => {
    let found: FoundKernel;
    beforeAll(async () => {
      found = await findKernel(name);
    });

    it.each(ways)('reaches its init on %s, started by %s, on a %s', async (on, way, machine) => {
      const { console, reason, verdict } = await boot(found, on, { boot: way, machine });
      expect(reason).toBe('the console printed INIT-UP');
      expect(verdict).toBe('up');
      expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
      expect(console.includes('Hypervisor detected: KVM')).toBe(on === 'kvm');
    });
  });
}
