// A trace of a run into a file or to stdout, for the commands that can make one.

import { createTextFile, type TextFile } from '../host/node/index.ts';
import type { RunWatcher, TraceSession } from '../lab/index.ts';

export interface Tracing {
  /** What `runKernel` needs. */
  readonly watcher: Pick<RunWatcher, 'tracer' | 'flush'>;
  /** More text behind the events. */
  print(text: string): void;
  /** Writes what is left. */
  finish(): void;
  close(): void;
}

const STDOUT: TextFile = {
  write: (text) => {
    process.stdout.write(text);
  },
  close: () => {},
};

/** `path` undefined: stdout. */
export function traceTo(path: string | undefined, session: TraceSession): Tracing {
  const out = path === undefined ? STDOUT : createTextFile(path, 'trace');
  return {
    watcher: { tracer: session.tracer, flush: async () => out.write(session.take()) },
    print: (text) => out.write(text),
    finish: () => out.write(session.finish()),
    close: () => out.close(),
  };
}
