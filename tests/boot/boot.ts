// What the boots of real kernels share: a run to our init, with everything that the console printed.

import {
  cached,
  type FoundKernel,
  findKernel,
  nodeHost,
  outputConsole,
  type PulledKernel,
} from '../../src/host/node/index.ts';
import {
  buildInitramfs,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  findInterface,
  type RunResult,
  type RunSpec,
  type RunWatcher,
  runKernel,
} from '../../src/lab/index.ts';

export interface Booted extends RunResult {
  readonly console: string;
}

/** A kernel that has been pulled, or null; with PVOPS_REQUIRE_KERNELS=1 its absence is an error. */
export async function pulledKernel(name: string): Promise<PulledKernel | null> {
  const pulled = await cached(name);
  if (!pulled && process.env.PVOPS_REQUIRE_KERNELS === '1') {
    throw new Error(`${name} is not in the cache: pvops pull ${name}`);
  }
  return pulled;
}

/** Package, version and digest, for the names of tests. */
export function titleOf(name: string, pulled: PulledKernel | null): string {
  return pulled
    ? `${pulled.package} ${pulled.version} (${pulled.kernelSha256.slice(0, 16)})`
    : name;
}

export async function boot(
  { kernel, digest, busybox }: FoundKernel,
  on: string,
  changes: Partial<RunSpec> = {},
  watcher: RunWatcher = {},
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
  const spec: RunSpec = {
    kernel,
    kernelDigest: digest,
    on: findInterface(on),
    initrd: buildInitramfs({ busybox: (await busybox()) ?? new Uint8Array() }),
    append: '',
    memoryBytes: DEFAULT_MEMORY_BYTES,
    time: 'virtual' as const,
    engine: 'interpreter' as const,
    timeoutSeconds: 60,
    hostCpuSeconds: 500,
    expectText: null,
    failText: null,
    input: { kind: 'none' } as const,
    seed: 0,
    epochSeconds: DEFAULT_EPOCH_SECONDS,
    ...changes,
  };
  const result = await runKernel(nodeHost(silent), console, spec, watcher);
  return { ...result, console: text };
}

export { type FoundKernel, findKernel };
