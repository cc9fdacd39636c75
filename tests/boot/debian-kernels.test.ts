// Debian's other stock kernels, and all four of them from their own 16-bit setup code, from their entry to our init.

import { beforeAll, describe, expect, it } from 'vitest';
import type { BootWay } from '../../src/lab/index.ts';
import { boot, type FoundKernel, findKernel, pulledKernel, titleOf } from './boot.ts';

/** What each kernel is booted on and by: every one directly on both interfaces but the first, which has its own test. */
const KERNELS: Readonly<Record<string, readonly (readonly [on: string, boot: BootWay])[]>> = {
  'debian:12/cloud-amd64': [
    ['native', 'setup'],
    ['native', 'linux64'],
    ['kvm', 'linux32'],
  ],
  'debian:12/amd64': [
    ['native', 'direct'],
    ['kvm', 'direct'],
    ['kvm', 'setup'],
  ],
  'debian:12/686-pae': [
    ['native', 'direct'],
    ['kvm', 'direct'],
    ['kvm', 'setup'],
  ],
  'debian:12/686': [
    ['native', 'direct'],
    ['kvm', 'direct'],
    ['native', 'setup'],
  ],
};

for (const [name, ways] of Object.entries(KERNELS)) {
  const pulled = await pulledKernel(name);

  describe.skipIf(!pulled)(titleOf(name, pulled), () => {
    let found: FoundKernel;
    beforeAll(async () => {
      found = await findKernel(name);
    });

    it.each(ways)('reaches its init on %s, started by %s', async (on, way) => {
      const { console, reason, verdict } = await boot(found, on, { boot: way });
      expect(reason).toBe('the console printed INIT-UP');
      expect(verdict).toBe('up');
      expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
      expect(console.includes('Hypervisor detected: KVM')).toBe(on === 'kvm');
    });
  });
}
