// `pvops start`, which is `npm start`: Debian's kernel on every interface, and a table of how it went.

import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import {
  type FoundKernel,
  findKernel,
  kernelOfPackage,
  nodeHost,
  outputConsole,
  readUserFile,
} from '../host/node/index.ts';
import {
  buildInitramfs,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_MEMORY_BYTES,
  DEFAULT_TIMEOUT_SECONDS,
  exitStatus,
  findInterface,
  INTERFACES,
  type InterfaceChoice,
  type RunResult,
  runKernel,
} from '../lab/index.ts';
import { ProgressLine } from './progress-line.ts';
import { cachedOrPulled } from './pulling.ts';
import { evidence, table } from './report.ts';

const KERNEL = 'debian:12/cloud-amd64';
const HOST_CPU_SECONDS = 360;

interface StartOptions {
  readonly initrd?: string;
  readonly mirror?: string;
}

export function addStart(program: Command): void {
  program
    .command('start')
    .description(`boot a kernel (${KERNEL} if none is given) on every interface and compare`)
    .argument('[kernel]', 'a path or a pulled name')
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option('--mirror <url>', 'a Debian archive to pull from instead of apt')
    .action(async (kernel: string | undefined, options: StartOptions) => {
      process.exitCode = await start(kernel, options);
    });
}

async function start(kernel: string | undefined, options: StartOptions): Promise<number> {
  const found = kernel === undefined ? await defaultKernel(options) : await findKernel(kernel);
  const initrd = await initrdFor(found, options);
  process.stdout.write(`${found.kernel.name}: Linux ${found.kernel.version().split(' ', 1)[0]}\n`);
  const results: RunResult[] = [];
  for (const { id } of INTERFACES) results.push(await boot(found, initrd, findInterface(id)));
  process.stdout.write(`${resultTable(results)}\n`);
  for (const result of results) {
    if (result.verdict === 'up') continue;
    process.stderr.write(
      `pvops: ${result.interface}: ${result.reason}\n${evidence(result, true)}\n`,
    );
  }
  return Math.max(...results.map(exitStatus));
}

async function defaultKernel({ mirror }: StartOptions): Promise<FoundKernel> {
  try {
    return await kernelOfPackage(await cachedOrPulled(KERNEL, mirror));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(
      error.code,
      `there is no kernel to start: ${error.message}`,
      `${error.hint} Or give a kernel of your own: npm start -- /path/to/vmlinuz --initrd FILE`,
    );
  }
}

async function initrdFor(found: FoundKernel, options: StartOptions): Promise<Uint8Array> {
  if (options.initrd) return readUserFile(options.initrd, 'initrd');
  const busybox = await found.busybox();
  if (busybox) return buildInitramfs({ busybox });
  throw new InputError(
    'cli/no-initrd',
    `there is no initrd for ${found.kernel.name}: no busybox has been pulled to make one of`,
    'give one with --initrd FILE, or say: pvops pull debian:12',
  );
}

async function boot(
  { kernel, digest }: FoundKernel,
  initrd: Uint8Array,
  on: InterfaceChoice,
): Promise<RunResult> {
  const line = new ProgressLine(process.stderr);
  const console = outputConsole(null);
  try {
    return await runKernel(
      nodeHost(console),
      console,
      {
        kernel,
        kernelDigest: digest,
        on,
        initrd,
        append: '',
        memoryBytes: DEFAULT_MEMORY_BYTES,
        time: 'virtual',
        engine: 'interpreter',
        timeoutSeconds: DEFAULT_TIMEOUT_SECONDS,
        hostCpuSeconds: HOST_CPU_SECONDS,
        expectText: null,
        failText: null,
        input: { kind: 'none' },
        seed: 0,
        epochSeconds: DEFAULT_EPOCH_SECONDS,
      },
      { progress: (progress) => line.run(on.name, progress) },
    );
  } finally {
    line.clear();
  }
}

function resultTable(results: readonly RunResult[]): string {
  return table(
    ['interface', 'verdict', 'guest s', 'instructions', 'CPU s', 'last line'],
    results.map((result) => [
      result.interface,
      result.verdict,
      result.guestSeconds.toFixed(3),
      String(result.instructions),
      result.hostCpuSeconds.toFixed(1),
      (result.lastLines.at(-1) ?? '').slice(0, 60),
    ]),
  );
}
