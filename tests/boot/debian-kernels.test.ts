// Debian's other stock kernels, and all four of them from their own 16-bit setup code, from their entry to our init.

import { beforeAll, describe, expect, it } from 'vitest';
import {
  cached,
  type FoundKernel,
  kernelOfPackage,
  nodeHost,
  outputConsole,
} from '../../src/host/node/index.ts';
import {
  type BootWay,
  buildInitramfs,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  findInterface,
  runKernel,
} from '../../src/lab/index.ts';

const required = process.env.PVOPS_REQUIRE_KERNELS === '1';

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

async function boot({ kernel, digest, busybox }: FoundKernel, on: string, way: BootWay) {
  const silent = outputConsole(null);
  const decoder = new TextDecoder();
  let text = '';
  const console = {
    ...silent,
    write: async (bytes: Uint8Array) => {
      text += decoder.decode(bytes, { stream: true });
    },
  };
  const result = await runKernel(nodeHost(silent), console, {
    kernel,
    kernelDigest: digest,
    on: findInterface(on),
    boot: way,
    initrd: buildInitramfs({ busybox: (await busybox())! }),
    append: '',
    memoryBytes: DEFAULT_MEMORY_BYTES,
    time: 'virtual',
    engine: 'interpreter',
    timeoutSeconds: 60,
    hostCpuSeconds: 500,
    expectText: null,
    failText: null,
    input: { kind: 'none' },
    seed: 0,
    epochSeconds: DEFAULT_EPOCH_SECONDS,
  });
  return { ...result, console: text };
}

for (const [name, ways] of Object.entries(KERNELS)) {
  const pulled = await cached(name);
  if (!pulled && required) throw new Error(`${name} is not in the cache: pvops pull ${name}`);
  const what = pulled
    ? `${pulled.package} ${pulled.version} (${pulled.kernelSha256.slice(0, 16)})`
    : name;

  describe.skipIf(!pulled)(what, () => {
    let found: FoundKernel;
    beforeAll(async () => {
      found = await kernelOfPackage(pulled!);
    });

    it.each(ways)('reaches its init on %s, started by %s', async (on, way) => {
      const { console, reason, verdict } = await boot(found, on, way);
      expect(reason).toBe('the console printed INIT-UP');
      expect(verdict).toBe('up');
      expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
      expect(console.includes('Hypervisor detected: KVM')).toBe(on === 'kvm');
    });
  });
}
