// `npm run bench:trace [-- --rounds N]`: what a trace adds to the CPU time of a boot, in alternating rounds.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PVOPS } from './guest/machines.ts';
import { median } from './measure.ts';

const KERNEL = 'debian:12/cloud-amd64';

interface Case {
  readonly name: string;
  readonly on: string;
  /** Null: the plain run that the others of the interface are compared with. */
  readonly trace: readonly string[] | null;
  readonly most: number;
}

const EVENTS = ['--out', '/dev/null', '--format', 'binary'];
const CASES: readonly Case[] = [
  { name: 'off', on: 'native', trace: null, most: 1 },
  { name: 'counters', on: 'native', trace: ['--summary'], most: 1.05 },
  { name: 'exit: every event', on: 'native', trace: EVENTS, most: Number.POSITIVE_INFINITY },
  { name: 'watched: mmu.*', on: 'native', trace: [...EVENTS, '--ops', 'mmu.*'], most: 3 },
  { name: 'off', on: 'xen-pv', trace: null, most: 1 },
  { name: 'exit: every event', on: 'xen-pv', trace: EVENTS, most: 1.6 },
];

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' } } });
const rounds = Math.max(1, Number(values.rounds) || 11);
if (!existsSync(PVOPS)) throw new Error(`${PVOPS} is missing: npm run build`);

const seconds = CASES.map(() => [] as number[]);
for (let round = 0; round < rounds; round++) {
  // Every second round the other way round: a machine that grows slower or faster does so to all.
  const order = CASES.map((_, n) => (round % 2 === 0 ? n : CASES.length - 1 - n));
  for (const n of order) seconds[n]!.push(cpuSeconds(CASES[n]!));
}
for (const [n, { name, on, most }] of CASES.entries()) {
  const off = CASES.findIndex((other) => other.on === on && other.trace === null);
  const ratios = seconds[n]!.map((value, round) => value / seconds[off]![round]!);
  const goal = Number.isFinite(most) ? `, goal ${most}` : '';
  process.stdout.write(
    `${on.padEnd(8)} ${name.padEnd(18)} ${median(seconds[n]!).toFixed(2)} CPU s, ${median(ratios).toFixed(3)} of off${goal}\n`,
  );
}

/** Of the whole process, as the run itself reports it. */
function cpuSeconds({ on, trace }: Case): number {
  const command = trace === null ? ['run', KERNEL] : ['trace', KERNEL, ...trace];
  const args = [PVOPS, ...command, '--on', on, '--expect-text', 'INIT-UP'];
  const { stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const found = /([\d.]+) s of CPU/.exec(stderr)?.[1];
  if (found === undefined) throw new Error(`${args.join(' ')}\n${stderr}`);
  return Number(found);
}
