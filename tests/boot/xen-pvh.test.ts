// Debian's stock kernels as PVH guests of Xen, from their entry to our init and down again.

import { beforeAll, describe, expect, it } from 'vitest';
import { boot, type FoundKernel, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(`xen-pvh: ${titleOf(NAME, pulled)}`, () => {
  let found: FoundKernel;
  beforeAll(async () => {
    found = await findKernel(NAME);
  });

  it('knows Xen, takes time, events and console from there, and reads what is typed', async () => {
    const script =
      'cat /sys/devices/system/clocksource/clocksource0/current_clocksource /sys/hypervisor/guest_type; date +%Y; poweroff\n';
    const { console, verdict } = await boot(found, 'xen-pvh', {
      input: { kind: 'script', bytes: new TextEncoder().encode(script) },
    });
    expect(console).toContain('Hypervisor detected: Xen HVM');
    expect(console).toContain('Booting kernel on Xen PVH');
    expect(console).toContain('xen:events: Using FIFO-based ABI');
    expect(console).toContain('Grant table initialized');
    expect(console).toMatch(/^INIT-UP uptime=\d+\.\d+/m);
    expect(console).toMatch(/^xen\r?\nPVH\r?\n2024\r?$/m);
    expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
    expect(verdict).toBe('up');
  });
});
