// Runs a command until it prints a marker, and reads what it cost from /proc: the same yardstick for pvops and its peers.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Cost {
  /** User and system time of the process and its threads, seconds, at the moment of the marker. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Largest resident set so far, MB (10^6 bytes). */
  readonly peakMegabytes: number;
}

/** Clock ticks per second in /proc/PID/stat: fixed at 100 for user space on Linux, proc(5). */
const TICKS = 100;

/** Starts `command`, waits for `marker` on its output, then kills it. Null: it ended without printing it. */
export function costUntil(
  marker: string,
  command: string,
  args: readonly string[],
  limitSeconds = 600,
): Promise<Cost | null> {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), limitSeconds * 1000);
    let tail = '';
    let cost: Cost | null = null;
    child.on('error', () => resolve(null));
    child.stdout.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString('latin1')).slice(-4096);
      if (cost || !tail.includes(marker)) return;
      cost = { ...usage(child.pid as number), wallSeconds: (performance.now() - started) / 1000 };
      child.kill('SIGKILL');
    });
    child.on('close', () => {
      clearTimeout(limit);
      resolve(cost);
    });
  });
}

/** What the process and its threads have used so far. */
export function usage(pid: number): { cpuSeconds: number; peakMegabytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { cpuSeconds: ticks / TICKS, peakMegabytes: (Number(peak) * 1024) / 1e6 };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}
