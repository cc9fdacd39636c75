// A trace of a run into a file or to stdout, for the commands that can make one; and the symbols that name its callers.

import { createOutputFile, type OutputFile, readUserFile } from '../host/node/index.ts';
import {
  type KernelImage,
  kernelNames,
  type RunWatcher,
  readSymbols,
  type TraceNames,
  type TraceSession,
} from '../lab/index.ts';

export interface Tracing {
  /** What `runKernel` needs. */
  readonly watcher: Pick<RunWatcher, 'tracer' | 'flush'>;
  /** More text behind the events. */
  print(text: string): void;
  /** Writes what is left. */
  finish(): void;
  close(): void;
}

const STDOUT: OutputFile = {
  write: (piece) => {
    process.stdout.write(piece);
  },
  close: () => {},
};
/** Text is written in pieces of so many letters. */
const PIECE = 1 << 20;

/** `path` undefined: stdout. */
export function traceTo(path: string | undefined, session: TraceSession): Tracing {
  const out = path === undefined ? STDOUT : createOutputFile(path, 'trace');
  const write = (chunks: ReturnType<TraceSession['take']>) => {
    let text = '';
    for (const chunk of chunks) {
      if (typeof chunk === 'string') text += chunk;
      if (text !== '' && (typeof chunk !== 'string' || text.length >= PIECE)) {
        out.write(text);
        text = '';
      }
      if (typeof chunk !== 'string') out.write(chunk);
    }
    if (text !== '') out.write(text);
  };
  return {
    watcher: { tracer: session.tracer, flush: async () => write(session.take()) },
    print: (text) => out.write(text),
    finish: () => write(session.finish()),
    close: () => out.close(),
  };
}

/** From a file that the user names, or else the image's own. */
export async function traceNames(
  kernel: KernelImage,
  file: string | undefined,
): Promise<TraceNames> {
  const own = kernelNames(kernel);
  if (file === undefined) return own;
  return { ...own, symbols: readSymbols(await readUserFile(file, 'symbol file'), file) };
}
