// Debian's stock cloud kernel, pulled by name, from its entry to our init on each interface.

import { beforeAll, describe, expect, it } from 'vitest';
import { boot, type FoundKernel, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(titleOf(NAME, pulled), () => {
  let found: FoundKernel;
  beforeAll(async () => {
    found = await findKernel(NAME);
  });

  it.each(['native', 'kvm@6.1', 'xen-pv'])(
    'reaches its init on %s, twice in the same way',
    async (on) => {
      const one = await boot(found, on);
      expect(one.reason).toBe('the console printed INIT-UP');
      expect(one.verdict).toBe('up');
      expect(one.console).toMatch(/^INIT-UP uptime=\d+\.\d+/m);
      expect(one.console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
      const two = await boot(found, on);
      expect(two.instructions).toBe(one.instructions);
      expect(two.consoleDigest).toBe(one.consoleDigest);
      expect(two.stateHash).toBe(one.stateHash);
    },
  );

  it('knows KVM when it sees it, and takes its clock from there', async () => {
    const script =
      'cat /sys/devices/system/clocksource/clocksource0/current_clocksource; poweroff\n';
    const { console, verdict } = await boot(found, 'kvm', {
      input: { kind: 'script', bytes: new TextEncoder().encode(script) },
    });
    expect(console).toContain('Hypervisor detected: KVM');
    expect(console).toContain('Booting paravirtualized kernel on KVM');
    expect(console).toContain('clocksource: Switched to clocksource kvm-clock');
    expect(console).toMatch(/^kvm-clock\r?$/m);
    expect(verdict).toBe('up');
  });

  it('sees no hypervisor on native', async () => {
    const { console } = await boot(found, 'native');
    expect(console).not.toContain('Hypervisor detected');
    expect(console).toContain('Booting paravirtualized kernel on bare hardware');
  });

  it('panics without a root file system, and the verdict says so', async () => {
    const result = await boot(found, 'kvm', { initrd: null });
    expect(result.verdict).toBe('panic');
    expect(result.console).toContain('Kernel panic - not syncing: VFS');
  });
});
