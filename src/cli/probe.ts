// `pvops probe`: the probe kernel on every interface, as a table, as KTAP, as JSON; and its image for machines elsewhere.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { nodeHost, outputConsole } from '../host/node/index.ts';
import {
  BOOT_WAYS,
  INTERFACES,
  type InterfaceChoice,
  ktapOfProbes,
  measureTable,
  PROBE_BITS,
  type ProbeReport,
  probeElf,
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
    .option('--tap', 'print KTAP instead of the table')
    .option('--json', 'print everything as JSON')
    .action(async (options: ProbeOptions) => {
      process.exitCode = await probe(options);
    });
}

export async function probe(options: ProbeOptions): Promise<number> {
  const chosen = await interfacesOf(options.on);
  if (options.out !== undefined) return writeImages(options.out, chosen);
  const reports = await runAll(chosen, options);
  if (options.json) process.stdout.write(`${JSON.stringify(reports.map(asJson), null, 2)}\n`);
  else if (options.tap) process.stdout.write(ktapOfProbes(reports));
  else printTable(reports);
  return reports.every(({ outcome }) => outcome === 'pass' || outcome === 'skip') ? 0 : 1;
}

async function interfacesOf(text: string): Promise<InterfaceChoice[]> {
  const names =
    text === 'all' ? INTERFACES.filter(({ guest }) => guest).map(({ id }) => id) : text.split(',');
  return Promise.all([...new Set(names)].map((name) => chosenInterface(name.trim())));
}

async function runAll(
  chosen: readonly InterfaceChoice[],
  { boot, engine, seed }: ProbeOptions,
): Promise<ProbeReport[]> {
  const common = {
    boot: parseChoice(boot, '--boot', BOOT_WAYS),
    engine: parseEngine(engine),
    seed: parseWhole(seed, '--seed'),
  };
  const host = nodeHost(outputConsole(null));
  const reports: ProbeReport[] = [];
  for (const on of chosen)
    for (const bits of on.interface.guest?.bits ?? [64])
      reports.push(await runProbe(host, { ...common, on, bits }));
  return reports;
}

function printTable(reports: readonly ProbeReport[]): void {
  const { header, rows } = probeTable(reports);
  process.stdout.write(`${table(header, rows)}\n`);
  const costs = measureTable(reports);
  process.stdout.write(`\n${table(costs.header, costs.rows)}\n\n`);
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

function asJson({ verdicts, log, result, ...report }: ProbeReport) {
  return {
    ...report,
    patched: log?.patched ?? 0,
    measures: Object.fromEntries(log?.measures ?? []),
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
    const path = join(folder, `probe${bits}.elf`);
    writeFileSync(path, probeElf(bits, own));
    process.stdout.write(`${path}\n`);
  }
  return 0;
}
