// Work counted, not timed: how often V8 has run each piece of our code, from its own coverage counters.

import { Session } from 'node:inspector';

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

/** Counts the blocks of code under `folder` that were run since the last `take`. */
export class WorkCounter {
  private readonly session = new Session();
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Synchronous: a session on its own thread answers before `post` returns. */
  take(): number {
    let blocks = 0;
    this.session.post('Profiler.takePreciseCoverage', (_error, coverage) => {
      for (const { url, functions } of (coverage as Coverage).result) {
        if (!url.includes(this.folder)) continue;
        for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
      }
    });
    return blocks;
  }

  close(): void {
    this.session.disconnect();
  }
}
