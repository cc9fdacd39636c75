// `npm run bench:guest [-- --bits 64|32 --only NAME --short N --rounds N --engine NAME --json FILE]`: the workloads on pvops and its peers.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cached } from '../src/host/node/index.ts';
import { BuildFailed, builtWorkloads } from './guest/build.ts';
import { writeGuest } from './guest/guest-files.ts';
import {
  type Guest,
  HOW_TO_INSTALL,
  KERNELS,
  type Machine,
  PVOPS,
  pvopsMachine,
  qemuMachine,
  v86Machine,
} from './guest/machines.ts';
import {
  type Measured,
  memoryText,
  sectionRows,
  tableText,
  targetsOf,
  targetText,
} from './guest/report.ts';
import { ALL_DONE, type Bits, type Program, programsWith, suiteScript } from './guest/suite.ts';
import { runSuite, type SuiteRun } from './guest/time-sections.ts';

const MACHINES = ['pvops', 'qemu', 'v86'];

const { values } = parseArgs({
  options: {
    bits: { type: 'string', default: '64' },
    only: { type: 'string', multiple: true, default: [] },
    machine: { type: 'string', multiple: true, default: MACHINES },
    short: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '1' },
    engine: { type: 'string', default: 'auto' },
    json: { type: 'string' },
  },
});
const bits = values.bits === '64' ? 64 : values.bits === '32' ? 32 : fail('--bits is 64 or 32', '');
const rounds = Math.max(1, Number(values.rounds) || 1);
/** Arguments are divided by it: for ratios while at work. What a CPU prints is not known then, so machines must agree. */
const shorter = Math.max(1, Number(values.short) || 1);
const unknown = values.machine.find((name) => !MACHINES.includes(name));
if (unknown) fail(`there is no machine ${unknown}`, `--machine takes ${MACHINES.join(', ')}`);
if (!existsSync(PVOPS)) fail(`${PVOPS} is missing`, 'say: npm run build');

const folder = mkdtempSync(join(tmpdir(), 'pvops-bench-'));
try {
  process.exitCode = await main();
} finally {
  rmSync(folder, { recursive: true });
}

async function main(): Promise<number> {
  const programs = chosenPrograms();
  const machines = machinesFor(await makeGuest(programs, bits));
  const runs = new Map<Machine, SuiteRun[]>(machines.map((m) => [m, []]));
  const sections = programs.flatMap((p) => p.sections);
  for (let round = 1; round <= rounds; round++) {
    for (const machine of machines) {
      let done = 0;
      const run = await runSuite(machine.command, machine.args, ({ section, cpuSeconds }) => {
        done++;
        const where = `${machine.name} ${round}/${rounds}, ${done}/${sections.length}`;
        progress(`${where}: ${section} ${cpuSeconds.toFixed(2)} CPU s`);
      });
      progress('');
      if (!run.finished) complain(machine, run);
      runs.get(machine)?.push(run);
    }
  }
  const measured = machines.map((machine) => ({ machine, runs: runs.get(machine) ?? [] }));
  const chosen = sections.filter((s) => values.only.length === 0 || values.only.includes(s.name));
  if (shorter === 1) return report(measured, chosen);
  const printed = measured.flatMap(({ runs }) => runs.flatMap((run) => run.sections));
  const first = (name: string) => printed.find((t) => t.section === name)?.checksum ?? '';
  return report(
    measured,
    chosen.map((s) => ({ ...s, checksum: first(s.name) })),
  );
}

function chosenPrograms(): Program[] {
  const known = programsWith([], bits).flatMap((p) => p.sections.map((s) => s.name));
  const wrong = values.only.find((name) => !known.includes(name));
  if (wrong) fail(`there is no section ${wrong} for ${bits} bits`, known.join(', '));
  return programsWith(values.only, bits).map((p) => ({
    ...p,
    argument: Math.max(1, Math.floor(p.argument / shorter)),
  }));
}

async function makeGuest(programs: readonly Program[], width: Bits): Promise<Guest> {
  const kernel = KERNELS[width];
  const notPulled = () =>
    fail(`${kernel} has not been pulled`, `say: node ${PVOPS} pull ${kernel}`);
  if (!(await cached(kernel))) notPulled(); // Before minutes go into compiling.
  const files = workloads(programs, width);
  const parts = { files, script: suiteScript(programs), exit: true };
  return (await writeGuest(folder, width, parts, 'quiet')) ?? notPulled();
}

function workloads(programs: readonly Program[], width: Bits) {
  try {
    return builtWorkloads(programs, width);
  } catch (error) {
    if (!(error instanceof BuildFailed)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exit(2);
  }
}

function machinesFor(guest: Guest): Machine[] {
  const machines: Machine[] = [];
  const wanted = (name: string) => values.machine.includes(name);
  const missing = (how: string) => process.stderr.write(`bench: ${how}\n`);
  const { engine } = values;
  if (wanted('pvops')) machines.push(pvopsMachine(guest, { on: 'kvm', engine, until: ALL_DONE }));
  if (wanted('qemu')) {
    const qemu = qemuMachine(guest);
    if (qemu) machines.push(qemu);
    else missing(HOW_TO_INSTALL.qemu);
  }
  if (wanted('v86') && guest.bits === 32) {
    const v86 = v86Machine(guest);
    if (v86) machines.push(v86);
    else missing(HOW_TO_INSTALL.v86());
  }
  if (machines.length === 0) fail('none of the chosen machines is here', 'add --machine pvops');
  return machines;
}

/** 1: a checksum is wrong or a machine did not finish. */
function report(measured: readonly Measured[], sections: Program['sections']): number {
  const rows = sectionRows(measured, sections);
  const targets = targetsOf(rows, bits, values.only.length === 0);
  process.stdout.write(tableText(rows, measured));
  for (const each of measured) process.stdout.write(`${memoryText(each)}\n`);
  for (const target of targets) process.stdout.write(`${targetText(target)}\n`);
  process.stdout.write(
    `CPU seconds of the whole process between a section's two lines; median of ${rounds}; ~ is near the grain\n`,
  );
  if (values.json !== undefined) {
    const machines = measured.map(({ machine, runs }) => ({
      name: machine.name,
      how: machine.how,
      runs: runs.map(({ tail: _, ...run }) => run),
    }));
    const node = process.versions.node;
    writeFileSync(
      values.json,
      `${JSON.stringify({ bits, rounds, node, machines, rows, targets }, null, 2)}\n`,
    );
  }
  const right = rows.every((r) => Object.values(r.cells).every((c) => c?.checksumHolds === true));
  return right ? 0 : 1;
}

function complain({ name }: Machine, { tail }: SuiteRun): void {
  process.stderr.write(`bench: ${name} did not finish the suite; its last lines:\n${tail}\n`);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function fail(what: string, hint: string): never {
  process.stderr.write(`bench: ${what}\nhint: ${hint}\n`);
  process.exit(2);
}
