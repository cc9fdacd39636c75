// `pvops probe`: the probe kernel on every interface, as a table, as KTAP, as JSON; and its image for machines elsewhere.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import { nodeHost, outputConsole, readUserFile } from '../host/node/index.ts';
import {
  BOOT_WAYS,
  compareLogs,
  type HostTimes,
  hostTimes,
  hostTimeTable,
  INTERFACES,
  type InterfaceChoice,
  ktapOfProbes,
  measureTable,
  PROBE_BITS,
  type ProbeReport,
  type ProbeRun,
  probeBzImage,
  probeElf,
  probeElfByPvh,
  probeTable,
  runProbe,
} from '../lab/index.ts';
import { chosenInterface } from './interfaces.ts';
import { table } from './report.ts';
import { ENGINES, parseChoice, parseEngine, parseWhole } from './values.ts';

export interface ProbeOptions {
  readonly on: string;
  readonly boot: string;
  readonly engine: string;
  readonly seed: string;
  readonly out?: string;
  readonly compare?: string;
  readonly hostTime?: boolean;
  readonly json?: boolean;
  readonly tap?: boolean;
}

export function addProbe(program: Command): void {
  program
    .command('probe')
    .description('boot the probe kernel, which asks of an interface what its operations do')
    .option('--on <interfaces>', 'all, some separated by commas, or a file: ./mine.mjs', 'all')
    .option('--boot <way>', `one of ${BOOT_WAYS.join(', ')}`, 'direct')
    .option('--engine <name>', ENGINES, 'auto')
    .option('--seed <number>', 'what differs between two machines', '0')
    .option('--out <folder>', 'write the images, to boot them elsewhere, and do not run them')
    .option('--compare <log>', 'read the console log of another machine: where ours parts from it')
    .option(
      '--host-time',
      'measure the CPU time of this host as well, which is never the same twice',
    )
    .option('--tap', 'print KTAP instead of the table')
    .option('--json', 'print everything as JSON')
    .action(async (options: ProbeOptions) => {
      process.exitCode = await probe(options);
    });
}

export async function probe(options: ProbeOptions): Promise<number> {
  const chosen = await interfacesOf(options.on);
  if (options.out !== undefined) return writeImages(options.out, chosen);
  if (options.compare !== undefined) return compare(options.compare, options);
  const reports = await runAll(chosen, options);
  const times = options.hostTime ? await timesOf(chosen, options) : null;
  if (options.json)
    process.stdout.write(
      `${JSON.stringify(
        reports.map((report, n) => asJson(report, times?.[n])),
        null,
        2,
      )}\n`,
    );
  else if (options.tap) process.stdout.write(ktapOfProbes(reports));
  else printTable(reports, times);
  return reports.every(({ outcome }) => outcome === 'pass' || outcome === 'skip') ? 0 : 1;
}

async function interfacesOf(text: string): Promise<InterfaceChoice[]> {
  const names =
    text === 'all' ? INTERFACES.filter(({ guest }) => guest).map(({ id }) => id) : text.split(',');
  return Promise.all([...new Set(names)].map((name) => chosenInterface(name.trim())));
}

function runsOf(
  chosen: readonly InterfaceChoice[],
  { boot, engine, seed }: ProbeOptions,
): ProbeRun[] {
  const common = {
    boot: parseChoice(boot, '--boot', BOOT_WAYS),
    engine: parseEngine(engine),
    seed: parseWhole(seed, '--seed'),
  };
  return chosen.flatMap((on) =>
    (on.interface.guest?.bits ?? [64]).map((bits) => ({ ...common, on, bits })),
  );
}

async function runAll(
  chosen: readonly InterfaceChoice[],
  options: ProbeOptions,
): Promise<ProbeReport[]> {
  const host = nodeHost(outputConsole(null));
  const reports: ProbeReport[] = [];
  for (const run of runsOf(chosen, options)) reports.push(await runProbe(host, run));
  return reports;
}

async function timesOf(
  chosen: readonly InterfaceChoice[],
  options: ProbeOptions,
): Promise<HostTimes[]> {
  const host = nodeHost(outputConsole(null));
  const times: HostTimes[] = [];
  for (const run of runsOf(chosen, { ...options, boot: 'direct' }))
    times.push(await hostTimes(host, run));
  return times;
}

/** 0: no probe is judged otherwise there than here. */
async function compare(path: string, options: ProbeOptions): Promise<number> {
  const text = new TextDecoder('latin1').decode(await readUserFile(path, 'log'));
  const { log } = compareLogs(text, null) ?? {};
  if (!log) {
    throw new InputError(
      'cli/no-probe-log',
      `${path} has no log of the probe kernel on an interface that is known`,
      "it should have a line 'pvops-probe 1 ...': boot an image of pvops probe --out, and keep its console.",
    );
  }
  const on = await chosenInterface(log.on);
  const boot = log.boot === 'multiboot' || log.boot === 'pvh' ? log.boot : 'direct';
  const ours = await runProbe(nodeHost(outputConsole(null)), {
    ...{ on, bits: log.bits, boot },
    ...{ engine: parseEngine(options.engine), seed: parseWhole(options.seed, '--seed') },
  });
  const { apart, loose, alike } = compareLogs(text, ours.log)!;
  for (const { probe: asked, theirs, ours: own, answers } of apart) {
    process.stdout.write(`${asked}: ${theirs.outcome} there, ${own.outcome} here\n`);
    for (const line of [...theirs.reasons, ...answers]) process.stdout.write(`  ${line}\n`);
  }
  for (const { probe: asked, answers } of loose)
    process.stdout.write(
      `${asked}: both are judged alike, by other answers: ${answers.join('; ')}\n`,
    );
  process.stdout.write(
    `${apart.length} apart, ${loose.length} alike by other answers, ${alike} alike\n`,
  );
  return apart.length === 0 ? 0 : 1;
}

function printTable(reports: readonly ProbeReport[], times: readonly HostTimes[] | null): void {
  const { header, rows } = probeTable(reports);
  process.stdout.write(`${table(header, rows)}\n`);
  const costs = measureTable(reports);
  process.stdout.write(`\n${table(costs.header, costs.rows)}\n\n`);
  if (times) {
    const { header: head, rows: lines } = hostTimeTable(reports, times);
    process.stdout.write(`${table(head, lines)}\n(of this host, now; not reproducible)\n\n`);
  }
  for (const { on, bits, trouble, verdicts } of reports) {
    if (trouble !== '') process.stderr.write(`pvops: ${on} ${bits}: ${trouble}\n`);
    for (const { probe: asked, outcome, reasons } of verdicts) {
      if (outcome !== 'fail' && outcome !== 'error') continue;
      for (const reason of reasons)
        process.stderr.write(`pvops: ${on} ${bits}: ${asked.id}: ${outcome}: ${reason}\n`);
    }
  }
  const all = reports.flatMap(({ verdicts }) => verdicts);
  const count = (word: string) => all.filter(({ outcome }) => outcome === word).length;
  process.stdout.write(
    `${count('pass')} passed, ${count('skip')} skipped, ${count('error')} errors, ${count('fail')} failed\n`,
  );
}

function asJson({ verdicts, log, result, ...report }: ProbeReport, times?: HostTimes) {
  return {
    ...report,
    patched: log?.patched ?? 0,
    measures: Object.fromEntries(log?.measures ?? []),
    ...(times && { hostNanosNotReproducible: Object.fromEntries(times) }),
    probes: verdicts.map(({ probe: { id, title }, outcome, reasons }) => ({
      id,
      title,
      outcome,
      reasons,
      answers: log?.answers.get(id) ?? null,
    })),
    instructions: result.instructions,
    hostCpuSeconds: result.hostCpuSeconds,
    stateHash: result.stateHash,
  };
}

function writeImages(folder: string, chosen: readonly InterfaceChoice[]): number {
  mkdirSync(folder, { recursive: true });
  const own = chosen.find(({ interface: on }) => !INTERFACES.includes(on)) ?? null;
  for (const bits of PROBE_BITS) {
    const files = [
      [`probe${bits}.elf`, probeElf(bits, own)],
      [`probe${bits}-pvh.elf`, probeElfByPvh(bits, own)],
      [`probe${bits}.bzImage`, probeBzImage(bits, own)],
    ] as const;
    for (const [name, bytes] of files) {
      writeFileSync(join(folder, name), bytes);
      process.stdout.write(`${join(folder, name)}\n`);
    }
  }
  return 0;
}
