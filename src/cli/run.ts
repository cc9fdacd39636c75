// `pvops run`: one kernel on one interface, its console on stdio.

import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import {
  type FoundKernel,
  findKernel,
  type NodeConsole,
  nodeHost,
  outputConsole,
  readPipedInput,
  readUserFile,
  terminalConsole,
} from '../host/node/index.ts';
import {
  BOOT_WAYS,
  type BootWay,
  buildInitramfs,
  type ConsoleInput,
  checkNumbers,
  checkStart,
  DEFAULT_COMMAND_LINE,
  DEFAULT_EPOCH_SECONDS,
  DEFAULT_TIMEOUT_SECONDS,
  driversOf,
  exitStatus,
  type Fittings,
  type GuestModule,
  type InterfaceChoice,
  isProbe,
  type KernelImage,
  machineOf,
  NO_MODULES,
  PROBE_END,
  probeNamed,
  type RunResult,
  type RunSpec,
  runKernel,
  startTrace,
  type TraceSession,
} from '../lab/index.ts';
import { chosenInterface } from './interfaces.ts';
import {
  addMachineOptions,
  chooseMachine,
  collect,
  type MachineOptions,
} from './machine-options.ts';
import { ProgressLine } from './progress-line.ts';
import { evidence, statistics, summaryLine } from './report.ts';
import { traceNames, traceTo } from './tracing.ts';
import {
  ENGINES,
  parseChoice,
  parseEngine,
  parseRequest,
  parseSeconds,
  parseSize,
  parseText,
  parseWhole,
} from './values.ts';
import { WITHOUT, withoutOption } from './without.ts';

interface RunOptions extends MachineOptions {
  readonly on: string;
  readonly drivers?: string;
  readonly boot: string;
  readonly module?: readonly string[];
  readonly initrd?: string;
  readonly append?: string;
  readonly at?: readonly string[];
  readonly memory: string;
  readonly time?: string;
  readonly timeout?: string;
  readonly expectText?: string;
  readonly failText?: string;
  readonly engine: string;
  readonly seed: string;
  readonly json?: boolean;
  readonly stats?: boolean;
  readonly counters: boolean;
  readonly trace?: string;
  readonly without?: readonly string[];
}

/** CPU seconds of the host that a guest second may cost before a run is given up, and what every run may cost. */
const HOST_PER_GUEST = 3;
const HOST_SECONDS_MIN = 300;
/** What says something about a kernel that a BIOS is to find by itself. */
const KERNEL_OPTIONS = ['initrd', 'module', 'append', 'drivers'] as const;

export function addRun(program: Command): void {
  const command = program
    .command('run')
    .description('boot a kernel; its console is on stdio, Ctrl-A x leaves')
    .argument(
      '[kernel]',
      'bzImage, vmlinux, linux-image .deb, a pulled name such as debian:12, or probe',
    )
    .option(
      '--on <interface>',
      'native, kvm, a version of it (kvm@2.6.32), or a file: ./mine.mjs',
      'native',
    )
    .option(
      '--boot <way>',
      `one of ${BOOT_WAYS.join(', ')}; setup is the kernel's 16-bit code`,
      'direct',
    );
  addMachineOptions(command)
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option(
      '--drivers <names>',
      "modules of the kernel's package to load: those of the machine's devices",
    )
    .option('--module <words>', "a file for a multiboot kernel: 'FILE [ITS COMMAND LINE]'", collect)
    .option('--append <text>', `added to the kernel command line, '${DEFAULT_COMMAND_LINE}'`)
    .option('--memory <size>', 'from 16M to 3G', '512M')
    .option(
      '--at <request>',
      "asks the guest at a time: '2s=poweroff', reboot, suspend, 'sysrq h' or 'balloon 256' (Xen)",
      collect,
    )
    .option('--time <kind>', 'virtual (instructions count) or wall (idle guests sleep)')
    .option('--timeout <time>', 'guest time after which the run has failed')
    .option('--expect-text <text>', 'the run is up as soon as the console prints this')
    .option('--fail-text <text>', 'the run has failed as soon as the console prints this')
    .option('--engine <name>', ENGINES, 'auto')
    .option('--seed <number>', 'what differs between two machines: the first value of the TSC', '0')
    .option('--without <part>', WITHOUT, collect)
    .option('--trace <file>', 'write every operation that the kernel asks for, as JSON lines')
    .option('--no-counters', 'do not count what the kernel asks for')
    .option('--json', 'print the result as JSON instead of the console')
    .option('--stats', 'print exits by kind, speed and digests at the end')
    .action(async (kernel: string | undefined, options: RunOptions) => {
      if (kernel === undefined && options.bios === undefined) {
        command.error("error: missing required argument 'kernel', or --bios");
      }
      process.exitCode = await run(kernel, options);
    });
}

async function run(kernel: string | undefined, options: RunOptions): Promise<number> {
  const numbers = readNumbers(options);
  checkNumbers(numbers); // Before any file is read.
  const { on, omissions } = withoutOption(await chosenInterface(options.on), options.without ?? []);
  const boot = parseChoice(options.boot, '--boot', BOOT_WAYS);
  const engine = parseEngine(options.engine);
  const asked = optional(options.expectText, '--expect-text');
  const expectText = asked ?? (isProbe(kernel ?? '') ? PROBE_END : null);
  const failText = optional(options.failText, '--fail-text');
  const live = isInteractive(options);
  const time = options.time ?? (live ? 'wall' : 'virtual');
  const spec = {
    ...numbers,
    on,
    omissions,
    boot,
    engine,
    counting: options.stats ?? false,
    expectText,
    failText,
    append: options.append ?? '',
    time: parseChoice(time, '--time', ['virtual', 'wall']),
    requests: (options.at ?? []).map(parseRequest),
  };
  const { biosDigest, close, ...machine } = await chooseMachine(options);
  try {
    machineOf({ on, ...machine });
    const start =
      kernel === undefined
        ? startOfBios(biosDigest, options)
        : await startOfKernel(kernel, { on, boot, fittings: machine.fittings }, options);
    const input = live ? ({ kind: 'live' } as const) : await pipedInput();
    return await execute({ ...spec, ...machine, ...start, input }, options);
  } finally {
    close();
  }
}

/** What a kernel will find. */
interface Beneath {
  readonly on: InterfaceChoice;
  readonly boot: BootWay;
  readonly fittings: Fittings;
}

type Start = Pick<RunSpec, 'kernel' | 'kernelDigest' | 'initrd' | 'modules'>;

function startOfBios(biosDigest: string, options: RunOptions): Start {
  const given = KERNEL_OPTIONS.find((name) => options[name] !== undefined);
  if (given === undefined) return { kernel: null, kernelDigest: biosDigest, initrd: null };
  throw new InputError(
    'cli/no-kernel',
    `--${given} says something about a kernel, and none is given`,
    'name the kernel instead of a BIOS, or leave that to the boot loader on the disk.',
  );
}

async function startOfKernel(name: string, where: Beneath, options: RunOptions): Promise<Start> {
  const { boot, fittings } = where;
  if (isProbe(name)) return startOfProbe(name, where);
  const found = await findKernel(name, boot !== 'direct' && boot !== 'pvh');
  checkStart({ kernel: found.kernel, fittings });
  return {
    kernel: found.kernel,
    kernelDigest: found.digest,
    initrd: await initrdOf(name, found, where, options),
    modules: await modulesOf(options),
  };
}

/** The probe kernel ends by itself; `--expect-text` may still ask for something on the way. */
function startOfProbe(name: string, { on, boot }: Beneath): Start {
  const kernel = probeNamed(name, on, boot);
  return { kernel, kernelDigest: kernel.digest(), initrd: null };
}

async function initrdOf(
  name: string,
  { kernel, busybox, modules, initrd: ownInitrd }: FoundKernel,
  { on, fittings }: Beneath,
  { initrd, drivers }: RunOptions,
): Promise<Uint8Array | null> {
  if (initrd) return readUserFile(initrd, 'initrd');
  if (!isLinux(kernel)) return null;
  const own = await ownInitrd();
  if (own) return own;
  const asked = drivers?.split(',').filter((each) => each !== '');
  const set = await modules(asked ?? driversOf(fittings, on.interface));
  if (!set && asked) throw noPackage(name);
  return buildInitramfs({
    busybox: await neededBusybox(name, busybox),
    modules: set ?? NO_MODULES,
  });
}

function noPackage(name: string): InputError {
  return new InputError(
    'cli/no-package',
    `${name} did not come in a package, so there are no drivers to take from it`,
    'give the linux-image .deb or a pulled name, or --initrd FILE.',
  );
}

/** Multiboot kernels, and programs that only use Linux's boot protocol, such as memtest86+, have no use for busybox. */
const isLinux = ({ multiboot, bzImage }: KernelImage): boolean =>
  bzImage ? bzImage.payload !== null : multiboot === null;

function modulesOf({ module = [] }: RunOptions): Promise<GuestModule[]> {
  return Promise.all(
    module.map(async (words) => {
      const [, path = '', commandLine = ''] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(words) ?? [];
      return { bytes: await readUserFile(path, 'module'), commandLine };
    }),
  );
}

async function execute(spec: RunSpec, options: RunOptions): Promise<number> {
  const console = openConsole(spec, options);
  const hidden = options.json === true || !process.stdout.isTTY;
  const line = new ProgressLine(process.stderr, hidden && spec.input.kind !== 'live');
  let result: RunResult;
  const tracing =
    options.trace === undefined ? null : traceTo(options.trace, await wholeTrace(spec));
  try {
    result = await runKernel(nodeHost(console), console, spec, {
      ...(options.counters ? {} : { tracer: null }),
      ...tracing?.watcher,
      progress: (progress) => line.run(spec.on.name, progress),
    });
    tracing?.finish();
  } finally {
    tracing?.close();
    line.clear();
    console.close();
  }
  print(result, options);
  return exitStatus(result);
}

const wholeTrace = async ({ on, kernel, kernelDigest }: RunSpec): Promise<TraceSession> =>
  startTrace({
    ...(kernel && (await traceNames(kernel, undefined))),
    on,
    head: { kernel: kernel?.name ?? 'BIOS', sha256: kernelDigest },
    operations: null,
    format: 'jsonl',
  });

function print(result: RunResult, options: RunOptions): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } else {
    process.stderr.write(`\npvops: ${summaryLine(result)}\n`);
    const more = evidence(result, false);
    if (more !== '') process.stderr.write(`${more}\n`);
  }
  if (options.stats) process.stderr.write(`${statistics(result)}\n`);
}

function readNumbers(options: RunOptions) {
  const timeoutSeconds =
    options.timeout !== undefined
      ? parseSeconds(options.timeout, '--timeout')
      : isInteractive(options)
        ? null
        : DEFAULT_TIMEOUT_SECONDS;
  return {
    memoryBytes: parseSize(options.memory, '--memory'),
    timeoutSeconds,
    hostCpuSeconds:
      timeoutSeconds === null || isInteractive(options)
        ? null
        : Math.max(HOST_SECONDS_MIN, timeoutSeconds * HOST_PER_GUEST),
    seed: parseWhole(options.seed, '--seed'),
    epochSeconds: DEFAULT_EPOCH_SECONDS,
  };
}

/** Somebody sits there, and has not asked for a text to wait for. */
function isInteractive(options: RunOptions): boolean {
  return (
    process.stdin.isTTY === true &&
    process.stdout.isTTY === true &&
    options.expectText === undefined &&
    options.json !== true
  );
}

function openConsole(spec: RunSpec, options: RunOptions): NodeConsole {
  if (spec.input.kind !== 'live') return outputConsole(options.json ? null : process.stdout);
  process.stderr.write(
    'pvops: Ctrl-A x leaves, Ctrl-A Ctrl-A is Ctrl-A, Ctrl-] asks something of the guest\n',
  );
  return terminalConsole(process.stdin, process.stdout);
}

async function pipedInput(): Promise<ConsoleInput> {
  const bytes = await readPipedInput((text) => process.stderr.write(`pvops: ${text}\n`));
  return bytes ? { kind: 'script', bytes } : { kind: 'none' };
}

async function neededBusybox(
  kernel: string,
  busybox: () => Promise<Uint8Array | null>,
): Promise<Uint8Array> {
  const bytes = await busybox();
  if (bytes) return bytes;
  throw new InputError(
    'cli/no-initrd',
    `there is no initrd for ${kernel}: no busybox has been pulled to make one of`,
    'give one with --initrd FILE, or say: pvops pull debian:12',
  );
}

const optional = (text: string | undefined, option: string): string | null =>
  text === undefined ? null : parseText(text, option);
