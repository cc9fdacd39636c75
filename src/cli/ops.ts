// `pvops ops`: the catalogue of operations, in the words of one version of Linux or of all.

import type { Command } from 'commander';
import {
  chosenOperations,
  LINUX_VERSIONS,
  type LinuxVersion,
  type OperationFacts,
  operationFacts,
} from '../lab/index.ts';
import { table } from './report.ts';

interface OpsOptions {
  readonly linux?: string;
  readonly json?: boolean;
}

export function addOps(program: Command): void {
  program
    .command('ops')
    .description('list the operations of paravirt_ops, and what serves them on each interface')
    .option('--linux <version>', `the vocabulary of one Linux: ${LINUX_VERSIONS.join(', ')}`)
    .option('--json', 'print everything that is known of each operation as JSON')
    .action((options: OpsOptions) => {
      const facts = chosenOperations(options.linux ?? null).map(operationFacts);
      const text = options.json ? JSON.stringify(facts, null, 2) : catalogueText(facts, options);
      process.stdout.write(`${text}\n`);
    });
}

function catalogueText(facts: readonly OperationFacts[], { linux }: OpsOptions): string {
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
  return `${table(header, rows)}\n\n${count}`;
}
