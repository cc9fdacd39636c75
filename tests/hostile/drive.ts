// One seed of nonsense for a machine: takes the steps, and holds the machine to what no guest may change.

import type { MachineModelId } from '../../src/machine/models/registry.ts';
import { type Plain, stateBytes } from '../../src/machine/snapshot.ts';
import { type Bench, build, twin } from './board.ts';
import { Chance } from './chance.ts';
import { plan, type Step, take } from './nonsense.ts';
import type { WorkCounter } from './work.ts';

/** One step asks at most this much: a chain of 1024 descriptors, and a few thousand timers that fall due. */
const CALLS_MAX = 60_000;
const BYTES_MAX = 64 << 20;
const LINES_MAX = 16;
const NOTES_MAX = 512;
/** The machine's state without RAM; the buffers of disks and queues are all that may grow in it. */
const STATE_MAX = 4 << 20;

/**
 * Pieces of our code that V8 may run for so many steps: about 400 a step are usual, and a step that skips from timer to
 * timer takes some ten thousand.
 */
const CHUNK = 250;
const BLOCKS_MAX = 4_000_000;

export interface Drive {
  readonly model: MachineModelId;
  readonly seed: number;
  readonly steps: number;
  readonly only?: string;
  readonly counter?: WorkCounter | undefined;
}

/** Null if all went well, else what went wrong and at which step. */
export function drive({ model, seed, steps, only = '', counter }: Drive): string | null {
  const chance = new Chance(seed);
  const bench = build(model);
  const all = plan(chance, bench, steps, only);
  const half = all.length >> 1;
  const wrong = go(bench, all.slice(0, half), 0, counter);
  if (typeof wrong === 'string') return wrong;
  // The state is plain data: a machine restored from it goes on in the same way.
  const other = twin(model, bench);
  const apart = difference(bench, other);
  if (apart !== null) return `restored after step ${half}: ${apart}`;
  const rest = all.slice(half);
  const here = go(bench, rest, half, counter);
  if (typeof here === 'string') return here;
  const there = go(other, rest, half);
  if (typeof there === 'string') return there;
  const parted = here.findIndex((answer, n) => answer !== there[n]);
  if (parted >= 0) {
    return `step ${half + parted}, ${print(rest[parted]!)}: ${here[parted]} live, ${there[parted]} restored`;
  }
  const end = difference(bench, other);
  return end === null ? null : `restored after step ${half}, compared at the end: ${end}`;
}

/** The answers, or what went wrong. */
function go(
  bench: Bench,
  steps: readonly Step[],
  from: number,
  counter?: WorkCounter,
): number[] | string {
  const answers: number[] = [];
  counter?.take();
  for (const [n, step] of steps.entries()) {
    const what = () => `step ${from + n}, ${print(step)}`;
    Object.assign(bench.work, { ramCalls: 0, ramBytes: 0 });
    try {
      answers.push(take(bench, step));
    } catch (error) {
      return `${what()}: ${error instanceof Error ? error.stack : String(error)}`;
    }
    const { ramCalls, ramBytes, lines } = bench.work;
    if (ramCalls > CALLS_MAX || ramBytes > BYTES_MAX) {
      return `${what()}: ${ramCalls} accesses to RAM, ${ramBytes} bytes`;
    }
    if (lines > LINES_MAX * bench.seats.length) return `${what()}: line ${lines} of complaints`;
    if (counter && (n + 1) % CHUNK === 0) {
      const blocks = counter.take();
      if (blocks > BLOCKS_MAX)
        return `${blocks} pieces of code run in the ${CHUNK} steps to ${what()}`;
    }
    const { power } = bench.built;
    if (power.state !== 'running') Object.assign(power, { state: 'running', why: '' }); // Switched on again.
  }
  const notes = bench.built.unclaimed().length;
  if (notes > NOTES_MAX) return `${notes} notes of unclaimed accesses`;
  const bytes = bench.built.snapshots.bytes().length;
  return bytes > STATE_MAX
    ? `a state of ${bytes} bytes after step ${from + steps.length}`
    : answers;
}

function difference(a: Bench, b: Bench): string | null {
  const left = a.built.snapshots.save().slots;
  const right = b.built.snapshots.save().slots;
  for (const name of Object.keys(left)) {
    if (equal(stateBytes(left[name]!), stateBytes(right[name]!))) continue;
    return `slot ${name} is ${short(left[name]!)} live and ${short(right[name]!)} restored`;
  }
  const ram = (bench: Bench) => bench.ram.view(0, bench.ram.bytes)!;
  return equal(ram(a), ram(b)) ? null : 'RAM differs';
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const short = (value: Plain): string => JSON.stringify(value).slice(0, 400);

export function print(step: Step): string {
  return JSON.stringify(step);
}
