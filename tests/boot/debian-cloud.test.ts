// Debian's stock cloud kernel, pulled by name, from its entry to our init on each interface.

import { beforeAll, describe, expect, it } from 'vitest';
import {
  cached,
  type FoundKernel,
  kernelOfPackage,
  nodeHost,
  outputConsole,
} from '../../src/host/node/index.ts';
import {
  buildInitramfs,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  findInterface,
  type RunResult,
  type RunSpec,
  runKernel,
} from '../../src/lab/index.ts';

const NAME = 'debian:12/cloud-amd64';
const required = process.env.PVOPS_REQUIRE_KERNELS === '1';
const pulled = await cached(NAME);
if (!pulled && required) throw new Error(`${NAME} is not in the cache: pvops pull ${NAME}`);

interface Booted extends RunResult {
  readonly console: string;
}

async function boot(
  { kernel, digest, busybox }: FoundKernel,
  on: string,
  changes: Partial<RunSpec> = {},
): Promise<Booted> {
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
    initrd: buildInitramfs({ busybox: (await busybox())! }),
    append: '',
    memoryBytes: DEFAULT_MEMORY_BYTES,
    time: 'virtual',
    engine: 'interpreter',
    timeoutSeconds: 60,
    hostCpuSeconds: 300,
    expectText: null,
    failText: null,
    input: { kind: 'none' },
    seed: 0,
    epochSeconds: DEFAULT_EPOCH_SECONDS,
    ...changes,
  });
  return { ...result, console: text };
}

const what = pulled
  ? `${pulled.package} ${pulled.version} (${pulled.kernelSha256.slice(0, 16)})`
  : NAME;

describe.skipIf(!pulled)(what, () => {
  let found: FoundKernel;
  beforeAll(async () => {
    found = await kernelOfPackage(pulled!);
  });

  it.each(['native', 'kvm@6.1'])('reaches its init on %s, twice in the same way', async (on) => {
    const one = await boot(found, on);
    expect(one.reason).toBe('the console printed INIT-UP');
    expect(one.verdict).toBe('up');
    expect(one.console).toMatch(/^INIT-UP uptime=\d+\.\d+/m);
    expect(one.console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
    const two = await boot(found, on);
    expect(two.instructions).toBe(one.instructions);
    expect(two.consoleDigest).toBe(one.consoleDigest);
    expect(two.stateHash).toBe(one.stateHash);
  });

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
