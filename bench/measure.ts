// Runs a command until it prints a marker, and reads what it cost from /proc: the same yardstick for pvops and its peers.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Cost {
  /** User and system time of the process and its threads, seconds, at the moment of the marker. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Largest resident set so far, MB (10^6 bytes). */
  readonly peakMegabytes: number;
  /** Of the guest, if the command says so when it ends (pvops does). */
  readonly instructions: number | null;
}

/** How long a command may take to end after the marker; a boot has cost seconds by then. */
const LINGER_MILLISECONDS = 5000;
/** Clock ticks per second in /proc/PID/stat: fixed at 100 for user space on Linux, proc(5). */
const TICKS = 100;

/**
 * Starts `command`, waits for `marker` on its output, and reads what it has cost so far. `ends`: the command ends by itself
 * then, and may report how many instructions its guest ran; others are killed. Null: it ended without printing the marker.
 */
export function costUntil(
  marker: string,
  { command, args, ends = false }: { command: string; args: readonly string[]; ends?: boolean },
  limitSeconds = 600,
): Promise<Cost | null> {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = () => child.kill('SIGKILL');
    let limit = setTimeout(kill, limitSeconds * 1000);
    let tail = '';
    let report = '';
    let cost: Cost | null = null;
    child.on('error', () => resolve(null));
    child.stderr.on('data', (chunk: Buffer) => {
      report = (report + chunk.toString('latin1')).slice(-4096);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString('latin1')).slice(-4096);
      if (cost || !tail.includes(marker)) return;
      const wallSeconds = (performance.now() - started) / 1000;
      cost = { ...usage(child.pid as number), wallSeconds, instructions: null };
      clearTimeout(limit);
      limit = setTimeout(kill, ends ? LINGER_MILLISECONDS : 0);
    });
    child.on('close', () => {
      clearTimeout(limit);
      resolve(cost && { ...cost, instructions: instructionsIn(report) });
    });
  });
}

/** The line with which `pvops run` ends: `... 1234.5 M instructions, ...`. */
function instructionsIn(report: string): number | null {
  const millions = /([\d.]+) M instructions/.exec(report)?.[1];
  return millions === undefined ? null : Math.round(Number(millions) * 1e6);
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
