// Runs the probe programs on Bochs and QEMU and writes down what they answer, or shows it beside ours.
// npx tsx tools/oracle/record.ts [bochs|qemu]      records
// npx tsx tools/oracle/record.ts --show <text>     prints the answers of all three for programs with this in their names

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAnswers, SHUTDOWN } from '../../tests/oracle/answers.ts';
import { type Built, build, digest, diskImage } from '../../tests/oracle/image.ts';
import { ourMachine } from '../../tests/oracle/ours.ts';
import type { Program } from '../../tests/oracle/program.ts';
import { allPrograms } from '../../tests/oracle/programs/index.ts';
import { decide, type Peer, recordingPath } from '../../tests/oracle/recording.ts';
import { commandLine, runPeer, versionOf } from './peers.ts';

const PEERS: readonly Peer[] = ['bochs', 'qemu'];

/** Answers of one peer. A program that stops the machine is left out of the next attempt, which begins behind it. */
function answersOf(peer: Peer, all: readonly Built[]): string[] {
  const answers: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  let rest = all.map((built, index) => ({ index, built }));
  while (rest.length > 0) {
    const said = parseAnswers(runPeer(peer, folder, diskImage(rest)));
    for (const [index, line] of said.lines) answers[index] = line;
    if (said.finished) break;
    const stopped = said.stopped;
    if (stopped === null) throw new Error(`${peer} said nothing of use; see ${folder}`);
    answers[stopped] = SHUTDOWN;
    process.stderr.write(`${peer} stopped in ${all[stopped]?.program.name}\n`);
    rest = rest.filter(({ index }) => index > stopped);
  }
  rmSync(folder, { recursive: true });
  return answers;
}

function record(peer: Peer): void {
  const all = allPrograms.map((program) => build(program));
  const answers = answersOf(peer, all);
  const lines = all.map((b, n) => `${digest(b)} ${b.program.name} => ${answers[n] ?? 'no answer'}`);
  const header = [
    `# Answers of ${versionOf(peer)} to the programs of tests/oracle/programs; written by tools/oracle/record.ts.`,
    `# ${commandLine(peer)}`,
  ];
  writeFileSync(recordingPath(peer), `${[...header, ...lines].join('\n')}\n`);
  print(`${peer}: ${lines.length} answers`);
}

function show(chosen: readonly Program[]): void {
  const all = chosen.map((program) => build(program));
  const machine = ourMachine('interpreter');
  const [bochs = [], qemu = []] = PEERS.map((peer) => answersOf(peer, all));
  all.forEach((built, n) => {
    const { program } = built;
    const ours = machine.run(built);
    const decision = decide(program, bochs[n] ?? '', qemu[n] ?? '');
    const verdict =
      'undecided' in decision ? 'UNDECIDED' : decision.answer === ours ? 'ok' : 'WRONG';
    print(`${program.name}: ${verdict}\n  bochs ${bochs[n]}\n  qemu  ${qemu[n]}\n  ours  ${ours}`);
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [first, second = ''] = process.argv.slice(2);
if (first === '--show') show(allPrograms.filter(({ name }) => name.includes(second)));
else for (const peer of PEERS.filter((name) => first === undefined || name === first)) record(peer);
