// The command line: subcommands, and what errors mean to the one who typed it.

import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { BugError, InputError } from '../base/errors.ts';
import { isPoolWorker, serveCells } from '../host/node/index.ts';
import { addDiff } from './diff.ts';
import { addDoctor } from './doctor.ts';
import { addMatrix } from './matrix.ts';
import { addOps } from './ops.ts';
import { addProbe } from './probe.ts';
import { addPull } from './pull.ts';
import { addRun } from './run.ts';
import { addStart } from './start.ts';
import { addTrace } from './trace.ts';

const STATUS_USAGE = 2;
const STATUS_BUG = 70;

if (isPoolWorker()) serveCells();
else void commandLine();

async function commandLine(): Promise<void> {
  /** Workers of the matrix execute this file too, and come out above. */
  const entry = new URL(import.meta.url);
  const program = new Command('pvops')
    .description('boot one kernel on every hypervisor interface it was built for')
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: false });
  for (const add of [
    addRun,
    addMatrix(entry),
    addOps,
    addProbe,
    addTrace,
    addDiff,
    addPull,
    addStart(entry),
    addDoctor,
  ])
    add(program);
  for (const command of program.commands) command.exitOverride();
  process.stdout.on('error', pipeClosed);
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  // Help is printed by commander with status 0; so are its own messages, with another.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : STATUS_USAGE;
  if (error instanceof InputError) {
    process.stderr.write(`pvops: ${error.message}\nhint: ${error.hint}\n`);
    return STATUS_USAGE;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const dump = error instanceof BugError ? error.dump : '';
  process.stderr.write(`pvops: this is a bug of pvops: ${text}\n${saveDump(text, dump)}\n`);
  return STATUS_BUG;
}

/** The report goes to a file, because terminals scroll; if that fails, to the terminal. */
function saveDump(text: string, dump: string): string {
  const path = join(tmpdir(), `pvops-bug-${process.pid}.txt`);
  try {
    writeFileSync(path, `${process.argv.slice(2).join(' ')}\n${text}\n${dump}\n`);
    return `the state is in ${path}`;
  } catch {
    return dump;
  }
}

/** `pvops run ... | head`: nobody reads on, so there is nothing left to do. */
function pipeClosed(error: Error & { code?: string }): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}
