// `pvops trace`: one run, and every operation that the kernel asked of its interface.

import type { Command } from 'commander';
import {
  type FoundKernel,
  findKernel,
  initrdFor,
  nodeHost,
  outputConsole,
} from '../host/node/index.ts';
import {
  type BatchCount,
  checkNumbers,
  DEFAULT_EPOCH_SECONDS,
  exitStatus,
  findInterface,
  type RunSpec,
  runKernel,
  startTrace,
  TRACE_FORMATS,
  type TraceSession,
} from '../lab/index.ts';
import { collect } from './machine-options.ts';
import { ProgressLine } from './progress-line.ts';
import { shortList, summaryLine, table } from './report.ts';
import { traceNames, traceTo } from './tracing.ts';
import {
  ENGINES,
  parseChoice,
  parseEngine,
  parseSeconds,
  parseSize,
  parseText,
  parseWhole,
} from './values.ts';
import { WITHOUT, withoutOption } from './without.ts';

interface TraceOptions {
  readonly on: string;
  readonly ops?: string;
  readonly summary?: boolean;
  readonly out?: string;
  readonly format: string;
  readonly symbols?: string;
  readonly cost?: boolean;
  readonly without?: readonly string[];
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly timeout: string;
  readonly expectText?: string;
  readonly seed: string;
  readonly engine: string;
  readonly json?: boolean;
}

const HOST_SECONDS = 600;

export function addTrace(program: Command): void {
  program
    .command('trace')
    .description('run a kernel and show every operation that it asks of its interface')
    .argument('<kernel>', 'a path or a pulled name')
    .option('--on <interface>', 'native, kvm, or a version of it: kvm@2.6.32', 'native')
    .option('--ops <patterns>', "only some: mmu.*, or 'cpu.write_*,irq.halt'")
    .option('--without <part>', WITHOUT, collect)
    .option('--summary', 'count by operation and entry point instead of listing events')
    .option('--out <file>', 'where the events go instead of stdout')
    .option(
      '--format <name>',
      `${TRACE_FORMATS.join(', ')}: JSON lines, compact, or for Perfetto`,
      'jsonl',
    )
    .option(
      '--symbols <file>',
      "a vmlinux or System.map to name callers by; the image's own if not given",
    )
    .option('--cost', 'with --summary: instructions from call to return, and time of the host')
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option('--append <text>', 'added to the kernel command line')
    .option('--memory <size>', 'from 16M to 3G', '512M')
    .option('--timeout <time>', 'guest time after which the run is over', '120s')
    .option('--expect-text <text>', 'the run is over as soon as the console prints this')
    .option('--seed <number>', 'what differs between two machines', '0')
    .option('--engine <name>', ENGINES, 'auto')
    .option('--json', 'with --summary: print the counts as JSON')
    .action(async (kernel: string, options: TraceOptions) => {
      process.exitCode = await trace(kernel, options);
    });
}

async function trace(name: string, options: TraceOptions): Promise<number> {
  const numbers = {
    memoryBytes: parseSize(options.memory, '--memory'),
    timeoutSeconds: parseSeconds(options.timeout, '--timeout'),
    hostCpuSeconds: HOST_SECONDS,
    seed: parseWhole(options.seed, '--seed'),
    epochSeconds: DEFAULT_EPOCH_SECONDS,
  };
  checkNumbers(numbers);
  const { on, omissions } = withoutOption(findInterface(options.on), options.without ?? []);
  const format = parseChoice(options.format, '--format', TRACE_FORMATS);
  const found = await findKernel(name);
  const session = startTrace({
    ...(await traceNames(found.kernel, options.symbols)),
    hostNanos: options.cost ? () => Number(process.hrtime.bigint()) : null,
    on,
    head: { kernel: name, sha256: found.digest },
    operations: options.ops ?? null,
    format: options.summary ? null : format,
  });
  const spec = await specOf(found, { ...numbers, on, omissions }, options);
  return follow(spec, session, options);
}

async function specOf(
  found: FoundKernel,
  common: Pick<
    RunSpec,
    | 'on'
    | 'omissions'
    | 'memoryBytes'
    | 'timeoutSeconds'
    | 'hostCpuSeconds'
    | 'seed'
    | 'epochSeconds'
  >,
  { initrd, append, expectText, engine }: TraceOptions,
): Promise<RunSpec> {
  return {
    ...common,
    kernel: found.kernel,
    kernelDigest: found.digest,
    initrd: await initrdFor(found, initrd ?? null),
    append: append ?? '',
    time: 'virtual',
    engine: parseEngine(engine),
    expectText: expectText === undefined ? null : parseText(expectText, '--expect-text'),
    failText: null,
    input: { kind: 'none' },
  };
}

async function follow(
  spec: RunSpec,
  session: TraceSession,
  options: TraceOptions,
): Promise<number> {
  const tracing = traceTo(options.out, session);
  const line = new ProgressLine(process.stderr);
  const console = outputConsole(null);
  try {
    const result = await runKernel(nodeHost(console), console, spec, {
      ...tracing.watcher,
      progress: (progress) => line.run(spec.on.name, progress),
    });
    tracing.finish();
    line.clear();
    if (options.summary) tracing.print(`${summary(session, options)}\n`);
    process.stderr.write(`pvops: ${summaryLine(result)}\n`);
    return exitStatus(result);
  } finally {
    line.clear();
    tracing.close();
  }
}

function summary({ tracer }: TraceSession, { json, cost }: TraceOptions): string {
  const counts = tracer.counts();
  const batches = tracer.batchCounts();
  if (json) return JSON.stringify({ counts, batches }, null, 2);
  const rows = counts.map(({ operations, entryPoint, count, instructions, hostNanos }) => [
    shortList(operations),
    entryPoint,
    String(count),
    ...(cost ? [(instructions / count).toFixed(1), (hostNanos / count).toFixed(0)] : []),
  ]);
  const head = ['operation', 'entry point', 'count'];
  // The second figure is the host's: another run has another one.
  const parts = [table(cost ? [...head, 'guest insns each', 'host ns each (varies)'] : head, rows)];
  if (batches.length > 0) parts.push(batchTable(batches));
  return parts.join('\n\n');
}

function batchTable(batches: readonly BatchCount[]): string {
  return table(
    ['carried by', 'count', 'carried', 'each', 'at most'],
    batches.map(({ entryPoint, count, carried, most }) => [
      ...[entryPoint, String(count), String(carried), (carried / count).toFixed(2), String(most)],
    ]),
  );
}
