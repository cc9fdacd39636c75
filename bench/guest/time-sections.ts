// Runs a machine that prints the suite's lines, and reads from /proc what the whole process had used when each arrived.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { INIT_UP } from '../../src/lab/index.ts';
import { type Cost, usage } from '../measure.ts';
import { ALL_DONE } from './suite.ts';

export interface Timed {
  readonly section: string;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly checksum: string;
  /** What the guest's time stamp counter went on by: on pvops, instructions. */
  readonly ticks: number;
}

export interface SuiteRun {
  readonly sections: readonly Timed[];
  /** At INIT-UP; null: the guest never got there. */
  readonly boot: Cost | null;
  /** At the last line seen. */
  readonly peakMegabytes: number;
  readonly finished: boolean;
  /** The last lines of the console and of standard error, for when it did not finish. */
  readonly tail: string;
}

interface Reading {
  readonly at: number;
  readonly byThread: ReadonlyMap<string, number>;
}

const NANOS = 1e9;
const TAIL_LETTERS = 2000;
/** Silence after which a machine is given up. */
const SILENCE_MS = 900_000;

export function runSuite(
  command: string,
  args: readonly string[],
  onSection: (timed: Timed) => void,
): Promise<SuiteRun> {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const sections: Timed[] = [];
    let boot: Cost | null = null;
    let peakMegabytes = 0;
    let finished = false;
    let line = '';
    let tail = '';
    let open: { name: string; reading: Reading } | null = null;
    const giveUp = () => child.kill('SIGKILL');
    let silence = setTimeout(giveUp, SILENCE_MS);

    const take = (text: string, pid: number) => {
      const begun = /@BEGIN (\S+)/.exec(text);
      const ended = /@END (\S+) \S+ chk=([0-9a-f]+) tsc=(\d+)/.exec(text);
      if (begun) open = { name: begun[1]!, reading: read(pid) };
      else if (ended && open !== null && open.name === ended[1]) {
        const timed = {
          ...between(open.reading, read(pid)),
          section: open.name,
          checksum: ended[2]!,
          ticks: Number(ended[3]),
        };
        sections.push(timed);
        onSection(timed);
        open = null;
      } else if (text.startsWith(INIT_UP)) {
        const wallSeconds = (performance.now() - started) / 1000;
        boot = { ...usage(pid), wallSeconds, instructions: null };
      } else if (text.startsWith(ALL_DONE)) finished = true;
      else return;
      peakMegabytes = usage(pid).peakMegabytes;
    };

    child.stdout.on('data', (chunk: Buffer) => {
      clearTimeout(silence);
      silence = setTimeout(giveUp, SILENCE_MS);
      const text = chunk.toString('latin1');
      tail = (tail + text).slice(-TAIL_LETTERS);
      const lines = (line + text).split(/\r*\n/);
      line = lines.pop()!;
      for (const each of lines) if (!finished) take(each, child.pid as number);
      if (line.startsWith(ALL_DONE)) finished = true; // pvops ends with the text, before its line does.
      if (finished) giveUp();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString('latin1')).slice(-TAIL_LETTERS);
    });
    child.on('error', (error) => {
      tail += error.message;
    });
    child.on('close', () => {
      clearTimeout(silence);
      resolve({ sections, boot, peakMegabytes, finished, tail });
    });
  });
}

/**
 * CPU time of every thread, in nanoseconds: /proc/PID/task/TID/schedstat, whose first field is finer than the ticks of
 * /proc/PID/stat (Linux Documentation/scheduler/sched-stats.rst); those ticks where a kernel has no schedstat.
 */
function read(pid: number): Reading {
  const at = performance.now();
  const byThread = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
      byThread.set(thread, Number(text.split(' ')[0]));
    }
  } catch {
    byThread.clear();
    byThread.set('ticks', usage(pid).cpuSeconds * NANOS);
  }
  return { at, byThread };
}

function between(before: Reading, after: Reading): { cpuSeconds: number; wallSeconds: number } {
  let nanos = 0;
  for (const [thread, spent] of after.byThread) nanos += spent - (before.byThread.get(thread) ?? 0);
  return { cpuSeconds: nanos / NANOS, wallSeconds: (after.at - before.at) / 1000 };
}
