// What else boots on machine pc unmodified: memtest86+, Debian's installer, and Xen's hypervisor by multiboot.

import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';

const memtest = await pulledKernel('debian:12/memtest86+');

describe.skipIf(!memtest)(titleOf('debian:12/memtest86+', memtest), () => {
  it('draws its test screen on the serial console', async () => {
    const { console, verdict } = await boot(await findKernel('debian:12/memtest86+'), 'native', {
      machine: 'pc',
      initrd: null,
      append: 'console=ttyS0,115200 nopause nobench',
      memoryBytes: 32 << 20,
      expectText: 'Status: Testing',
    });
    expect(verdict).toBe('up');
    expect(console).toContain('Memtest86+ v');
    expect(console).toContain('CLK/Temp: 1000MHz');
    expect(console).toMatch(/Memory {2}: +32MB/);
  });
});

const xen = await pulledKernel('debian:12/xen');

describe.skipIf(!xen)(titleOf('debian:12/xen', xen), () => {
  it('boots by multiboot, with its log on the serial port, until it has its processors', async () => {
    const { console, verdict } = await boot(await findKernel('debian:12/xen'), 'native', {
      machine: 'pc',
      initrd: null,
      append: 'com1=115200,8n1 console=com1 noreboot',
      modules: [{ bytes: new Uint8Array(4096), commandLine: 'no kernel' }],
      memoryBytes: 256 << 20,
      expectText: 'Brought up 1 CPUs',
    });
    expect(verdict).toBe('up');
    expect(console).toMatch(/Xen version 4\.\d+/);
    expect(console).toContain('Detected 999.999 MHz processor');
    expect(console).toContain('Platform timer is 100.000MHz HPET');
  });
});

describe.each(['amd64', 'i386'])('the installer for %s', async (architecture) => {
  const name = `debian:12/installer-${architecture}`;
  const installer = await pulledKernel(name);
  it.skipIf(!installer)(`asks for a language: ${titleOf(name, installer)}`, async () => {
    const found = await findKernel(name, false);
    const packed = await found.initrd();
    const { console, reason } = await boot(found, 'native', {
      machine: 'pc',
      // Unpacked beforehand: what is in it is the installer's, and inflating it would cost the guest seconds.
      initrd: packed && gunzipSync(packed),
      memoryBytes: 1 << 30,
      hostCpuSeconds: 900,
      engine: 'jit',
      expectText: 'Select a language',
    });
    expect(reason).toBe("the console printed 'Select a language'");
    expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|Kernel panic/);
  });
});
