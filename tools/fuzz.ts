// `npm run fuzz`: drives everything that a bad guest or file can reach with nonsense, for as long as it is told to.

import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Subject, subjects } from '../tests/hostile/subjects.ts';
import { WorkCounter } from '../tests/hostile/work.ts';

const USAGE = `npm run fuzz -- [--minutes 10] [--seed N] [--only NAME] [--list]
  --minutes   how long (default 10)
  --seed      this seed only, once for each subject
  --only      subjects whose name contains NAME
  --list      names the subjects`;

/** What the process may hold more than in the second round: in the first, things are compiled and cached. */
const GROWTH_MAX = 20 << 20;
const MEBIBYTE = 1 << 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const chosen = subjects().filter(({ name }) => name.includes(values.only));
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? null : Number(values.seed);
if (
  values.help ||
  chosen.length === 0 ||
  !(minutes > 0) ||
  !(seed === null || Number.isSafeInteger(seed))
) {
  process.stdout.write(`${USAGE}\n`);
  process.exitCode = values.help ? 0 : 2;
} else if (values.list) process.stdout.write(`${chosen.map(({ name }) => name).join('\n')}\n`);
else process.exitCode = (await fuzz()) === 0 ? 0 : 1;

/** Rounds over the subjects, a new seed each, until the time is up; answers how many failed. */
async function fuzz(): Promise<number> {
  const counter = new WorkCounter('/src/machine/');
  const end = Date.now() + minutes * 60_000;
  const failed = new Set<string>();
  let seeds = 0;
  let baseline = 0;
  // The least of a round, three times running: V8 keeps a machine or two alive for a round now and then, and lets go.
  let over = 0;
  let held = Number.POSITIVE_INFINITY;
  let grown = 0;
  for (let round = 1; failed.size < chosen.length; round++) {
    for (const subject of chosen) {
      if (seed === null && Date.now() >= end) return finish(seeds, round, failed, grown);
      if (failed.has(subject.name)) continue;
      const wrong = await attempt(subject, seed ?? round, counter);
      seeds++;
      held = Math.min(held, heldBytes());
      if (wrong === null) continue;
      failed.add(subject.name);
      process.stdout.write(`FAIL ${subject.name}: ${wrong}\n`);
      process.stdout.write(`  npm run fuzz -- --only ${subject.name} --seed ${seed ?? round}\n`);
    }
    if (seed !== null) break;
    if (round === 2) baseline = held;
    if (round > 2) grown = Math.max(grown, held - baseline);
    over = round > 2 && held - baseline > GROWTH_MAX ? over + 1 : 0;
    if (over === 3) {
      failed.add('memory');
      process.stdout.write(
        `FAIL memory: ${Math.round((held - baseline) / MEBIBYTE)} MiB more than in round 2\n`,
      );
      break;
    }
    held = Number.POSITIVE_INFINITY;
  }
  return finish(seeds, seed ?? 0, failed, grown);
}

async function attempt(
  subject: Subject,
  seed: number,
  counter: WorkCounter,
): Promise<string | null> {
  try {
    return await subject.drive(seed, counter);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function finish(seeds: number, last: number, failed: ReadonlySet<string>, grown: number): number {
  process.stdout.write(
    `${seeds} seeds over ${chosen.length} subjects, the last one ${last}: ${failed.size} failed; at most ${(grown / MEBIBYTE).toFixed(1)} MiB more held than in round 2\n`,
  );
  return failed.size;
}
