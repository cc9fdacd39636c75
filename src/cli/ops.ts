// `pvops ops`: the catalogue of operations, what serves them on each interface, and what interfaces share.

import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import {
  abilities,
  abilityText,
  type CoverageRow,
  changesBetween,
  chosenOperations,
  commonGround,
  coverageOf,
  findInterface,
  LINUX_VERSIONS,
  type LinuxVersion,
  operationFacts,
  operationNamed,
  servedCounts,
} from '../lab/index.ts';
import { table } from './report.ts';

interface OpsOptions {
  readonly linux?: string;
  readonly on?: string;
  readonly against?: string;
  readonly common?: boolean;
  readonly can?: string;
  readonly json?: boolean;
}

/** The same answer twice: as data and as text. */
interface Answer {
  readonly data: unknown;
  text(): string;
}

export function addOps(program: Command): void {
  program
    .command('ops')
    .description('list the operations of paravirt_ops, and what serves them on each interface')
    .option('--linux <version>', `the vocabulary of one Linux: ${LINUX_VERSIONS.join(', ')}`)
    .option('--on <interface>', 'what serves each operation on one interface: kvm, kvm@2.6.32')
    .option('--against <interface>', 'with --on: only where another one, or version, differs')
    .option('--common', 'what all interfaces share, and what one ABI for all would contain')
    .option('--can <operation>', 'what each interface does about one operation')
    .option('--json', 'print the same, with all details, as JSON')
    .action((options: OpsOptions) => {
      const answer = answerTo(options);
      process.stdout.write(
        `${options.json ? JSON.stringify(answer.data, null, 2) : answer.text()}\n`,
      );
    });
}

function answerTo(options: OpsOptions): Answer {
  const { on, against, linux } = options;
  const asked = [linux ?? on, options.common, options.can].filter((option) => option !== undefined);
  if (asked.length > 1)
    throw unclear('only one of --linux or --on, --common and --can can be given');
  if (against !== undefined && on === undefined) throw unclear('--against needs --on');
  if (options.common) return common();
  if (options.can !== undefined) return ability(options.can);
  if (on === undefined) return catalogue(linux);
  return against === undefined ? coverage(on, linux) : changes(on, against, linux);
}

function catalogue(linux: string | undefined): Answer {
  const facts = chosenOperations(linux ?? null).map(operationFacts);
  const version = linux as LinuxVersion | undefined;
  const header = [
    'operation',
    version ? `Linux ${version}` : 'Linux',
    'signature',
    'native',
    'lazy',
  ];
  const rows = facts.map((op) => [
    op.id,
    version ? (op.linux[version] ?? '') : Object.keys(op.linux).join(' '),
    op.signature,
    op.native,
    op.lazy ?? '',
  ]);
  const count = `${facts.length} operations${version ? ` of Linux ${version}` : ''}`;
  return { data: facts, text: () => `${table(header, rows)}\n\n${count}` };
}

function coverage(on: string, linux: string | undefined): Answer {
  const all = coverageOf(findInterface(on));
  const wanted = wantedIds(linux);
  const found = { ...all, rows: all.rows.filter(({ id }) => wanted.has(id)) };
  const rows = found.rows.map((row) => [
    row.id,
    row.served,
    names(row),
    visibility(row),
    row.seenIn.join(' '),
  ]);
  const counts = Object.entries(servedCounts(found)).map(([served, n]) => `${n} ${served}`);
  const others = found.others.map(({ name, status }) => [name, status ?? 'own']);
  return {
    data: { ...found, counts: servedCounts(found) },
    text: () =>
      [
        table(['operation', 'served', 'entry points', 'seen', 'seen in'], rows),
        ...(others.length > 0 ? [table(['entry points of no operation', 'served'], others)] : []),
        `${found.interface}: ${counts.join(', ')}`,
      ].join('\n\n'),
  };
}

function changes(on: string, against: string, linux: string | undefined): Answer {
  const [from, to] = [coverageOf(findInterface(against)), coverageOf(findInterface(on))];
  const wanted = wantedIds(linux);
  const found = changesBetween(from, to).filter(({ id }) => wanted.has(id));
  const header = ['operation', from.interface, to.interface];
  const rows = found.map((change) => [change.id, abilityText(change.from), abilityText(change.to)]);
  const count = `${found.length} of ${wanted.size} operations differ`;
  return {
    data: { from: from.interface, to: to.interface, changes: found },
    text: () => (rows.length > 0 ? `${table(header, rows)}\n\n${count}` : count),
  };
}

function common(): Answer {
  const found = commonGround();
  const rows = found.superset.map(({ id, by }) => [
    id,
    Object.entries(by)
      .map(([name, entries]) => `${name}: ${entries.join(', ')}`)
      .join('; '),
  ]);
  return {
    data: found,
    text: () =>
      [
        `done by each of ${found.interfaces.join(', ')}:`,
        ...found.shared.map((id) => `  ${id}`),
        '',
        table(['operation', 'entry points of its own'], rows),
        '',
        `${found.shared.length} operations in common; one ABI for all would have ${found.entryPoints} entry points`,
      ].join('\n'),
  };
}

function ability(id: string): Answer {
  const op = operationNamed(id);
  const found = abilities(op);
  const rows = found.map((can) => [can.interface, abilityText(can.row)]);
  return {
    data: { operation: operationFacts(op), interfaces: found },
    text: () => `${op.id}: ${op.does}\n\n${table(['interface', 'can it?'], rows)}`,
  };
}

const wantedIds = (linux: string | undefined): ReadonlySet<string> =>
  new Set(chosenOperations(linux ?? null).map(({ id }) => id));

const names = ({ entryPoints }: CoverageRow): string =>
  entryPoints.map(({ name, status }) => (status ? `${name} (${status})` : name)).join(', ');

const visibility = ({ entryPoints }: CoverageRow): string =>
  [...new Set(entryPoints.map(({ seen }) => seen))].join(' ');

function unclear(message: string): InputError {
  return new InputError('cli/options', message, 'see: pvops ops --help');
}
