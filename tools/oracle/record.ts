// Runs the probe programs on Bochs and QEMU and writes down what they answer, or shows it beside ours.
// npx tsx tools/oracle/record.ts [--all]           records what is new or changed, or everything
// npx tsx tools/oracle/record.ts --show [text]     prints the answers of all three: of programs named so, or where they differ

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAnswers, SHUTDOWN } from '../../tests/oracle/answers.ts';
import { type Built, build, digest, diskImage } from '../../tests/oracle/image.ts';
import { ourMachine } from '../../tests/oracle/ours.ts';
import { allPrograms } from '../../tests/oracle/programs/index.ts';
import {
  decide,
  matches,
  type Peer,
  readRecording,
  recordingPath,
} from '../../tests/oracle/recording.ts';
import { commandLine, runPeer, versionOf } from './peers.ts';

const PEERS: readonly Peer[] = ['bochs', 'qemu'];

/** What a peer answers to programs that are new or changed; the others keep what is recorded, unless `afresh`. */
async function answersOf(peer: Peer, all: readonly Built[], afresh: boolean): Promise<string[]> {
  const known = afresh || !existsSync(recordingPath(peer)) ? new Map() : readRecording(peer);
  const answers: string[] = [];
  let rest = all.map((built, index) => ({ index, built }));
  for (const { index, built } of rest) {
    const recorded = known.get(built.program.name);
    if (recorded?.digest === digest(built)) answers[index] = recorded.answer;
  }
  rest = rest.filter(({ index }) => answers[index] === undefined);
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  // A program that stops the machine is left out of the next attempt, which begins behind it.
  while (rest.length > 0) {
    const said = parseAnswers(await runPeer(peer, folder, diskImage(rest)));
    for (const [index, line] of said.lines) answers[index] = line;
    if (said.finished) break;
    const { stopped } = said;
    if (stopped === null) throw new Error(`${peer} said nothing of use; see ${folder}`);
    answers[stopped] = SHUTDOWN;
    process.stderr.write(`${peer} stopped in ${all[stopped]?.program.name}\n`);
    rest = rest.filter(({ index }) => index > stopped);
  }
  rmSync(folder, { recursive: true });
  return answers;
}

async function record(peer: Peer, afresh: boolean): Promise<void> {
  const all = allPrograms.map((program) => build(program));
  const answers = await answersOf(peer, all, afresh);
  const lines = all.map((b, n) => `${digest(b)} ${b.program.name} => ${answers[n] ?? 'no answer'}`);
  const header = [
    `# Answers of ${versionOf(peer)} to the programs of tests/oracle/programs; written by tools/oracle/record.ts.`,
    `# ${commandLine(peer)}`,
  ];
  writeFileSync(recordingPath(peer), `${[...header, ...lines].join('\n')}\n`);
  print(`${peer}: ${lines.length} answers`);
}

/** The recorded answers beside ours, where they are not all the same. */
function show(text: string): void {
  const machine = ourMachine('interpreter');
  const [bochs, qemu] = [readRecording('bochs'), readRecording('qemu')];
  for (const program of allPrograms) {
    const [one = '', two = ''] = [bochs, qemu].map((peer) => peer.get(program.name)?.answer);
    if (!program.name.includes(text)) continue;
    const ours = machine.run(build(program));
    const decision = decide(program.name, one, two);
    const verdict =
      'undecided' in decision ? 'UNDECIDED' : matches(decision.answer, ours) ? 'ok' : 'WRONG';
    if (verdict !== 'ok' || text !== '')
      print(`${program.name}: ${verdict}\n  bochs ${one}\n  qemu  ${two}\n  ours  ${ours}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [first, second] = process.argv.slice(2);
if (first === '--show') show(second ?? '');
else for (const peer of PEERS) await record(peer, first === '--all');
