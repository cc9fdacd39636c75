// Runs the Xen programs as a guest of Debian's Xen 4.17, on Bochs or QEMU, and writes down what they answer.
// npx tsx tools/xen-reference/record.ts [--on xen-pvh | --on xen-pvh-events] [--qemu] [--folder F] [--seconds N]    records
// npx tsx tools/xen-reference/record.ts ... --only PATTERN                                    records those whose name the pattern finds, beside what is recorded
// npx tsx tools/xen-reference/record.ts [--on xen-pvh] --show [text]                          prints recorded answers beside ours

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ENDED, readAnswers } from '../../tests/xen/answers.ts';
import { ourAnswers } from '../../tests/xen/ours.ts';
import { findSuite, type RecordedAnswer, readRecording } from '../../tests/xen/suites.ts';
import { boot, commandLine, hypervisorVersion, type Machine, makeImage } from './dom0.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: 'string', default: 'xen-pv' },
    qemu: { type: 'boolean', default: false },
    folder: { type: 'string', default: join(tmpdir(), 'xen-reference') },
    seconds: { type: 'string', default: '3600' },
    only: { type: 'string', default: '' },
    show: { type: 'boolean', default: false },
  },
});

const suite = findSuite(values.on);
const { programs } = suite;
const pattern = new RegExp(values.only);
const isAsked = (name: string): boolean => pattern.test(name);

async function record(machine: Machine): Promise<void> {
  mkdirSync(values.folder, { recursive: true });
  const asked = programs.filter(({ name }) => isAsked(name));
  makeImage(values.folder, suite.on, suite.kernel(isAsked), asked.length);
  const { lines, finished } = readAnswers(
    await boot(values.folder, machine, suite.on, Number(values.seconds)),
  );
  if (!finished)
    throw new Error(`the programs did not come to their end; see ${values.folder}/serial`);
  const fresh = new Map(
    asked.map(({ name, digest }, n) => [name, `${digest} ${name} => ${lines.get(n) ?? ENDED}`]),
  );
  const source = [
    `# Answers of xen-hypervisor-4.17-amd64 ${hypervisorVersion(values.folder)} to the programs of tests/xen/programs; written by tools/xen-reference/record.ts.`,
    `# ${commandLine(machine, suite.on)}`,
  ];
  const partly = values.only !== '';
  const kept: ReadonlyMap<string, RecordedAnswer> = partly ? readRecording(suite) : new Map();
  const header = partly ? [...new Set([...recordedHeader(), ...source])] : source;
  const answers = programs.flatMap(({ name }) => {
    const old = kept.get(name);
    const line = fresh.get(name) ?? (old && `${old.digest} ${name} => ${old.answer}`);
    return line ?? [];
  });
  writeFileSync(suite.recording, `${[...header, ...answers].join('\n')}\n`);
  print(`${fresh.size} answers`);
}

/** What is said there of how answers came about, those of other runs too. */
function recordedHeader(): string[] {
  const lines = readFileSync(suite.recording, 'utf8').split('\n');
  return lines.filter((line) => line.startsWith('#'));
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
