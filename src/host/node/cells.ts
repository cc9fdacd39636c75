// Cells of the matrix on this host: each in a worker thread, from the names of its files to its verdict.

import { readFileSync } from 'node:fs';
import { InputError } from '../../base/errors.ts';
import {
  buildInitramfs,
  type Cell,
  type CellJob,
  CellLog,
  cellOfRun,
  emptyCell,
  findInterface,
  type LabConsole,
  namesIfAny,
  type Progress,
  runKernel,
  Tracer,
  withoutParts,
} from '../../lab/index.ts';
import { readUserFile } from './files.ts';
import { nodeHost } from './host.ts';
import { type FoundKernel, findKernel } from './kernels.ts';
import { runPool, serveJobs, type WorkerFailure } from './pool.ts';
import { outputConsole } from './terminal.ts';

export interface CellEvents {
  progress?(job: number, progress: Progress): void;
  /** Called once for each job; `bug` is what to report if the fault was ours. */
  done(job: number, cell: Cell, bug: WorkerFailure | null): void;
}

/** `entry` is the file of the command line, whose workers call `serveCells`. */
export function runCells(
  entry: URL,
  jobs: readonly CellJob[],
  size: number,
  events: CellEvents,
): Promise<void> {
  return runPool<CellJob, Progress, Cell>(entry, jobs, size, {
    note: (job, progress) => events.progress?.(job, progress),
    done: (job, cell) => events.done(job, cell, null),
    failed(job, failure) {
      // An interface that cannot start an image refuses it as wrong input: the image was not built for it.
      const refused = failure.code !== null && !failure.code.startsWith('host/');
      const cell = emptyCell(jobs[job]!, refused ? 'absent' : 'error', failure.message);
      events.done(job, cell, failure.code === null ? failure : null);
    },
  });
}

export const serveCells = (): void => serveJobs(runCell);

async function runCell(job: CellJob, note: (progress: Progress) => void): Promise<Cell> {
  const { machine, ...rest } = job;
  const found = await findKernel(job.kernel, job.boot !== 'direct' && job.boot !== 'pvh');
  const { on, omissions } = withoutParts(findInterface(job.on), job.without);
  const names = job.without.length > 0 ? namesIfAny(found.kernel) : {};
  const counted = { ...names, operations: null, onEvent: null };
  const log = new CellLog(new Tracer(on.interface.ops, on.version, counted));
  const silent = outputConsole(null);
  const decoder = new TextDecoder();
  const console: LabConsole = {
    ...silent,
    write: async (bytes) => log.write(decoder.decode(bytes, { stream: true })),
  };
  const result = await runKernel(
    { ...nodeHost(silent), cpuSeconds: threadSeconds },
    console,
    {
      ...rest,
      ...(machine === null ? {} : { machine }),
      kernel: found.kernel,
      kernelDigest: found.digest,
      on,
      omissions,
      initrd: await initrdFor(found, job.initrd),
      time: 'virtual',
      hostCpuSeconds: job.hostSeconds,
      input: { kind: 'none' },
    },
    {
      tracer: log.tracer,
      progress(progress) {
        log.sample(progress);
        note(progress);
      },
    },
  );
  return cellOfRun(job, result, log);
}

/** The user's, or busybox for a Linux kernel. */
export async function initrdFor(
  found: FoundKernel,
  initrd: string | null,
): Promise<Uint8Array | null> {
  if (initrd !== null) return readUserFile(initrd, 'initrd');
  const { bzImage, multiboot } = found.kernel;
  if (bzImage ? bzImage.payload === null : multiboot !== null) return null;
  const busybox = await found.busybox();
  if (busybox) return buildInitramfs({ busybox });
  throw new InputError(
    'host/no-initrd',
    `there is no initrd for ${found.kernel.name}: no busybox has been pulled to make one of`,
    'give one with --initrd FILE, or say: pvops pull debian:12',
  );
}

/** CPU time of this thread, without V8's helpers; where the system does not tell, time on the wall. */
function threadSeconds(): number {
  try {
    // proc(5): the first number is time on a CPU, in nanoseconds.
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e9;
  } catch {
    return performance.now() / 1e3;
  }
}
