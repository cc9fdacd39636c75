// `npm run bench:trace [-- --rounds N --on I --only counters]`: what a trace adds to the CPU time of a boot, in alternating rounds.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PVOPS } from './guest/machines.ts';
import { median } from './measure.ts';

const KERNEL = 'debian:12/cloud-amd64';

interface Case {
  readonly name: string;
  readonly on: string;
  /** Words of the command; the first is its name. */
  readonly words: readonly string[];
  readonly most: number;
}

const OFF = ['run', '--no-counters'];
const EVENTS = ['trace', '--out', '/dev/null', '--format', 'binary'];
const CASES: readonly Case[] = [
  { name: 'off', on: 'native', words: OFF, most: 1 },
  { name: 'counters', on: 'native', words: ['run'], most: 1.05 },
  { name: 'exit: every event', on: 'native', words: EVENTS, most: Number.POSITIVE_INFINITY },
  { name: 'watched: mmu.*', on: 'native', words: [...EVENTS, '--ops', 'mmu.*'], most: 3 },
  { name: 'off', on: 'xen-pv', words: OFF, most: 1 },
  { name: 'counters', on: 'xen-pv', words: ['run'], most: 1.05 },
  { name: 'exit: every event', on: 'xen-pv', words: EVENTS, most: 1.6 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    on: { type: 'string' },
    only: { type: 'string' },
  },
});
const { on: wantedOn, only } = values;
const cases = CASES.filter(
  ({ on, name, words }) =>
    (wantedOn === undefined || on === wantedOn) &&
    (only === undefined || words === OFF || name.startsWith(only)),
);
const rounds = Math.max(1, Number(values.rounds) || 11);
if (!existsSync(PVOPS)) throw new Error(`${PVOPS} is missing: npm run build`);

const seconds = cases.map(() => [] as number[]);
for (let round = 0; round < rounds; round++) {
  // Every second round the other way round: a machine that grows slower or faster does so to all.
  const order = cases.map((_, n) => (round % 2 === 0 ? n : cases.length - 1 - n));
  for (const n of order) seconds[n]!.push(cpuSeconds(cases[n]!));
  if (round < rounds - 1) process.stderr.write(`after round ${round + 1}:\n${report()}`);
}
process.stdout.write(report());

/** Medians so far. */
function report(): string {
  const lines = cases.map(({ name, on, most }, n) => {
    const off = cases.findIndex((other) => other.on === on && other.words === OFF);
    const ratios = seconds[n]!.map((value, round) => value / seconds[off]![round]!);
    const goal = Number.isFinite(most) ? `, goal ${most}` : '';
    return `${on.padEnd(8)} ${name.padEnd(18)} ${median(seconds[n]!).toFixed(2)} CPU s, ${median(ratios).toFixed(3)} of off${goal}\n`;
  });
  return lines.join('');
}

/** Of the whole process, as the run itself reports it. */
function cpuSeconds({ on, words: [command = '', ...words] }: Case): number {
  const args = [PVOPS, command, KERNEL, ...words, '--on', on, '--expect-text', 'INIT-UP'];
  const { stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const found = /([\d.]+) s of CPU/.exec(stderr)?.[1];
  if (found === undefined) throw new Error(`${args.join(' ')}\n${stderr}`);
  return Number(found);
}
