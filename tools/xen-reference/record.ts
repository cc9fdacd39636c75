// Runs the Xen programs as a guest of Debian's Xen 4.17, on Bochs or QEMU, and writes down what they answer.
// npx tsx tools/xen-reference/record.ts [--on xen-pvh | --on xen-pvh-waits] [--qemu] [--folder F] [--seconds N]    records
// npx tsx tools/xen-reference/record.ts [--on xen-pvh] --show [text]                          prints recorded answers beside ours

import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ENDED, readAnswers } from '../../tests/xen/answers.ts';
import { ourAnswers } from '../../tests/xen/ours.ts';
import { findSuite, readRecording } from '../../tests/xen/suites.ts';
import { boot, commandLine, hypervisorVersion, type Machine, makeImage } from './dom0.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: 'string', default: 'xen-pv' },
    qemu: { type: 'boolean', default: false },
    folder: { type: 'string', default: join(tmpdir(), 'xen-reference') },
    seconds: { type: 'string', default: '3600' },
    show: { type: 'boolean', default: false },
  },
});

const suite = findSuite(values.on);
const { programs } = suite;

async function record(machine: Machine): Promise<void> {
  mkdirSync(values.folder, { recursive: true });
  makeImage(values.folder, suite.on, suite.kernel(), programs.length);
  const { lines, finished } = readAnswers(
    await boot(values.folder, machine, suite.on, Number(values.seconds)),
  );
  if (!finished)
    throw new Error(`the programs did not come to their end; see ${values.folder}/serial`);
  const answers = programs.map(
    ({ name, digest }, n) => `${digest} ${name} => ${lines.get(n) ?? ENDED}`,
  );
  const header = [
    `# Answers of xen-hypervisor-4.17-amd64 ${hypervisorVersion(values.folder)} to the programs of tests/xen/programs; written by tools/xen-reference/record.ts.`,
    `# ${commandLine(machine, suite.on)}`,
  ];
  writeFileSync(suite.recording, `${[...header, ...answers].join('\n')}\n`);
  print(`${answers.length} answers`);
}

/** Programs named so, or all that differ. */
async function show(text: string): Promise<void> {
  const recorded = readRecording(suite);
  const ours = await ourAnswers(suite);
  programs.forEach((program, n) => {
    const xen = recorded.get(program.name)?.answer ?? 'not recorded';
    if (text === '' ? xen !== ours[n] : program.name.includes(text))
      print(`${program.name}\n  xen  ${xen}\n  ours ${ours[n]}`);
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (values.show) await show(positionals[0] ?? '');
else await record(values.qemu ? 'qemu' : 'bochs');
