// The host of a run in Node: CPU time of the process, a monotonic clock, and rest until something happens.

import { createHash } from 'node:crypto';
import type { LabHost } from '../../lab/index.ts';
import type { NodeConsole } from './terminal.ts';

/** setTimeout takes no more (Node: 2^31 - 1 milliseconds). */
const TIMER_MAX = 0x7fff_ffff;

export function nodeHost(console: NodeConsole): LabHost {
  let wake = () => {};
  console.onActivity(() => wake());
  return {
    cpuSeconds() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    nanos: () => Math.floor(performance.now() * 1e6),
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    sha256Hex(pieces) {
      const hash = createHash('sha256');
      for (const piece of pieces) hash.update(piece);
      return hash.digest('hex');
    },
    rest(nanos) {
      return new Promise((resolve) => {
        const timer = setTimeout(() => wake(), Math.min(Math.max(nanos, 0) / 1e6, TIMER_MAX));
        wake = () => {
          clearTimeout(timer);
          wake = () => {};
          resolve();
        };
      });
    },
  };
}
