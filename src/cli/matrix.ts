// `pvops matrix`: kernels by interfaces in worker threads, a table of how it went, and the same for machines to read.

import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import { findKernel, readUserJson, runCells, type WorkerFailure } from '../host/node/index.ts';
import {
  type Cell,
  type CellJob,
  cellName,
  checkNumbers,
  columnName,
  DEFAULT_EPOCH_SECONDS,
  findInterface,
  htmlOf,
  INTERFACES,
  isBad,
  type Judgement,
  jsonOf,
  judge,
  junitOf,
  ktapOf,
  MACHINE_MODELS,
  type MachineModelId,
  matrixStatus,
  readMatrix,
  summaryOf,
} from '../lab/index.ts';
import { collect } from './machine-options.ts';
import { ProgressLine } from './progress-line.ts';
import { table } from './report.ts';
import {
  ENGINES,
  parseChoice,
  parseEngine,
  parseSeconds,
  parseSize,
  parseText,
  parseWhole,
} from './values.ts';
import { WITHOUT, withoutColumns } from './without.ts';

export interface MatrixOptions {
  readonly on: string;
  readonly jobs?: string;
  readonly without?: readonly string[];
  readonly require?: boolean;
  readonly baseline?: string;
  readonly tap?: string;
  readonly junit?: string;
  readonly json?: string;
  readonly html?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly machine?: string;
  readonly memory: string;
  readonly timeout: string;
  readonly expectText?: string;
  readonly failText?: string;
  readonly seed: string;
  readonly engine: string;
}

/** CPU seconds of the host that a guest second may cost before a cell is given up, and what every cell may cost. */
const HOST_PER_GUEST = 3;
const HOST_SECONDS_MIN = 300;
const JOBS_MAX = 64;
const MODELS = Object.keys(MACHINE_MODELS) as MachineModelId[];
const STATUS_BUG = 70;
const EVIDENCE_LINES = 12;

/** `entry` is the file that worker threads execute. */
export const addMatrix = (entry: URL) => (program: Command) => {
  matrixOptions(
    program
      .command('matrix')
      .description('boot kernels on interfaces, in parallel, and compare how it went')
      .argument('<kernel...>', 'paths or pulled names'),
  ).action(async (kernels: string[], options: MatrixOptions) => {
    process.exitCode = await matrix(entry, kernels, options);
  });
};

export function matrixOptions(command: Command): Command {
  return command
    .option('--on <interfaces>', 'all, or some separated by commas: native,kvm@2.6.32', 'all')
    .option('--jobs <number>', 'cells at a time; as many as there are processors if not given')
    .option('--without <part>', `${WITHOUT}; a column of its own`, collect)
    .option('--require', 'an interface that a kernel lacks or does not notice is a failure too')
    .option('--baseline <file>', 'an earlier --json: fail on what got worse, not on known failures')
    .option('--tap <file>', 'write the verdicts as KTAP; - is stdout')
    .option('--junit <file>', 'write the verdicts as JUnit XML; - is stdout')
    .option('--json <file>', 'write everything as JSON (docs/matrix.schema.json); - is stdout')
    .option('--html <file>', 'write a page with tables, charts, consoles and failures; - is stdout')
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option('--append <text>', 'added to the kernel command line')
    .option('--machine <models>', `some of ${MODELS.join(', ')}, separated by commas`)
    .option('--memory <sizes>', 'from 16M to 3G, separated by commas', '512M')
    .option('--timeout <time>', 'guest time after which a cell has failed', '120s')
    .option('--expect-text <text>', 'a cell is up as soon as its console prints this')
    .option('--fail-text <text>', 'a cell has failed as soon as its console prints this')
    .option('--seed <number>', 'what differs between two machines', '0')
    .option('--engine <name>', ENGINES, 'auto');
}

export async function matrix(
  entry: URL,
  kernels: readonly string[],
  options: MatrixOptions,
): Promise<number> {
  const jobs = jobsOf([...new Set(kernels)], options);
  const size = parallelism(options.jobs, jobs.length);
  const baseline =
    options.baseline === undefined
      ? null
      : readMatrix(await readUserJson(options.baseline, 'baseline'), options.baseline);
  for (const kernel of kernels) await findKernel(kernel); // Refused now, or never.
  const { cells, bugs } = await runAll(entry, jobs, size);
  const judgement = judge(cells, { require: options.require === true, baseline });
  writeReports(judgement, cells, options);
  printOutcome(judgement, options);
  for (const bug of bugs)
    process.stderr.write(`pvops: this is a bug of pvops: ${bug.stack}\n${bug.dump}\n`);
  return bugs.length > 0 ? STATUS_BUG : matrixStatus(judgement);
}

function jobsOf(kernels: readonly string[], options: MatrixOptions): CellJob[] {
  const timeoutSeconds = parseSeconds(options.timeout, '--timeout');
  const text = (value: string | undefined, option: string) =>
    value === undefined ? null : parseText(value, option);
  const common = {
    boot: 'direct',
    engine: parseEngine(options.engine),
    initrd: options.initrd ?? null,
    append: options.append ?? '',
    timeoutSeconds,
    hostSeconds: Math.max(HOST_SECONDS_MIN, timeoutSeconds * HOST_PER_GUEST),
    expectText: text(options.expectText, '--expect-text'),
    failText: text(options.failText, '--fail-text'),
    seed: parseWhole(options.seed, '--seed'),
    epochSeconds: DEFAULT_EPOCH_SECONDS,
  } as const;
  for (const { memoryBytes } of shapesOf(options)) {
    checkNumbers({ ...common, memoryBytes, hostCpuSeconds: common.hostSeconds });
  }
  const whole = interfacesOf(options.on).map((on) => ({ on, without: [] }));
  const beneath = [...whole, ...withoutColumns(options.without ?? [])];
  const columns = beneath.flatMap((one) => {
    const { machines } = findInterface(one.on).interface;
    const offered = shapesOf(options).filter(
      ({ machine }) => machine === null || machines.includes(machine),
    );
    return offered.map((shape) => ({ ...one, ...shape }));
  });
  if (columns.length === 0) {
    throw new InputError(
      'cli/value',
      `no interface of the matrix has a machine '${options.machine}'`,
      'see docs/machines.md.',
    );
  }
  return kernels.flatMap((kernel) => columns.map((column) => ({ ...common, kernel, ...column })));
}

/** Machine models by sizes of memory. They are named in the matrix where there is more than one. */
function shapesOf({ machine, memory }: MatrixOptions) {
  const models = machine?.split(',').map((name) => parseChoice(name.trim(), '--machine', MODELS));
  const sizes = memory.split(',').map((size) => size.trim());
  return (models ?? [null]).flatMap((model) =>
    sizes.map((size) => ({
      machine: model,
      memoryBytes: parseSize(size, '--memory'),
      shape: [model ?? '', sizes.length > 1 ? size : ''].filter((part) => part !== '').join(' '),
    })),
  );
}

/** Names with their versions, each once. */
function interfacesOf(text: string): string[] {
  const names = text === 'all' ? INTERFACES.map(({ id }) => id) : text.split(',');
  return [...new Set(names.map((name) => findInterface(name.trim()).name))];
}

function parallelism(text: string | undefined, cells: number): number {
  const jobs = text === undefined ? availableParallelism() : parseWhole(text, '--jobs');
  if (jobs < 1) {
    throw new InputError('cli/value', '--jobs cannot be 0', 'give 1 or more.');
  }
  return Math.min(jobs, JOBS_MAX, cells);
}

async function runAll(entry: URL, jobs: readonly CellJob[], size: number) {
  const line = new ProgressLine(process.stderr);
  const cells = new Array<Cell>(jobs.length);
  const bugs: WorkerFailure[] = [];
  let finished = 0;
  await runCells(entry, jobs, size, {
    progress(job, progress) {
      const { kernel, on } = jobs[job]!;
      line.run(`[${finished}/${jobs.length}] ${kernel} on ${on}`, progress);
    },
    done(job, cell, bug) {
      cells[job] = cell;
      finished++;
      if (bug) bugs.push(bug);
      line.say(`[${finished}/${jobs.length}] ${cellName(cell)}: ${cell.verdict}`);
    },
  });
  line.clear();
  return { cells, bugs };
}

function writeReports(judgement: Judgement, cells: readonly Cell[], options: MatrixOptions): void {
  const reports: readonly (readonly [string | undefined, () => string])[] = [
    [options.tap, () => ktapOf(judgement)],
    [options.junit, () => junitOf(judgement)],
    [options.json, () => jsonOf(cells)],
    [options.html, () => htmlOf(judgement)],
  ];
  for (const [path, make] of reports) if (path !== undefined) writeReport(path, make());
}

function writeReport(path: string, text: string): void {
  if (path === '-') {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(path, text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InputError(
      'cli/unwritable',
      `${path} cannot be written: ${why}`,
      'check the path and the room on the disk.',
    );
  }
}

/** The table goes to stdout, unless a report is there. */
function printOutcome(judgement: Judgement, { tap, junit, json, html }: MatrixOptions): void {
  const stream = [tap, junit, json, html].includes('-') ? process.stderr : process.stdout;
  stream.write(`${outcomeTable(judgement)}\n${summaryOf(judgement)}\n`);
  for (const judged of judgement.cells) {
    const { cell } = judged;
    if (cell.verdict === 'up') continue;
    process.stderr.write(`pvops: ${cellName(cell)}: ${cell.verdict}: ${cell.reason}\n`);
    if (!isBad(judged)) continue;
    for (const text of cell.console.slice(-EVIDENCE_LINES)) process.stderr.write(`  ${text}\n`);
    if (cell.vcpu !== null) process.stderr.write(`${cell.vcpu.replace(/^/gm, '  ')}\n`);
  }
}

function outcomeTable({ cells }: Judgement): string {
  const compared = cells.some(({ change }) => change !== null);
  const header = [
    'kernel',
    'interface',
    'verdict',
    'guest s',
    'instructions',
    'CPU s',
    'MiB',
    'exits',
    'seen',
  ];
  const rows = cells.map(({ cell, change }) => [
    cell.kernel,
    columnName(cell),
    cell.verdict,
    cell.guestSeconds.toFixed(3),
    String(cell.instructions),
    cell.hostSeconds.toFixed(1),
    (cell.touchedBytes / 2 ** 20).toFixed(0),
    String(Object.values(cell.exits).reduce((sum, n) => sum + n, 0)),
    String(cell.operations.reduce((sum, { count }) => sum + count, 0)),
    ...(compared ? [change ?? ''] : []),
  ]);
  return table(compared ? [...header, 'baseline'] : header, rows);
}
