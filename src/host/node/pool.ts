// A pool of worker threads: jobs go out one at a time to each, notes and answers come back, and a dead worker is replaced.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BugError, InputError } from '../../base/errors.ts';

/** What a worker that failed could say. */
export interface WorkerFailure {
  readonly message: string;
  /** Of an `InputError`; null: it is our fault. */
  readonly code: string | null;
  readonly stack: string;
  readonly dump: string;
}

export interface PoolEvents<Note, Answer> {
  /** Called any number of times for each job. */
  note?(job: number, note: Note): void;
  /** One of the two is called once for each job. */
  done(job: number, answer: Answer): void;
  failed(job: number, failure: WorkerFailure): void;
}

type FromWorker<Note, Answer> =
  | { readonly kind: 'note'; readonly note: Note }
  | { readonly kind: 'done'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: WorkerFailure };

/** Marks our workers among threads that somebody else may start on the same file. */
const ROLE = 'pvops-worker';

/** Whether this thread was started by `runPool`. */
export const isPoolWorker = (): boolean =>
  !isMainThread && (workerData as { role?: unknown } | null)?.role === ROLE;

/** Runs all jobs on at most `size` threads that execute the file `entry`, which must call `serveJobs` in a pool worker. */
export function runPool<Job, Note, Answer>(
  entry: URL,
  jobs: readonly Job[],
  size: number,
  events: PoolEvents<Note, Answer>,
): Promise<void> {
  let next = 0;
  return Promise.all(
    Array.from({ length: Math.min(size, jobs.length) }, async () => {
      while (next < jobs.length) await runUntilDeath();
    }),
  ).then(() => undefined);

  /** One worker, for as long as there are jobs and it lives. */
  function runUntilDeath(): Promise<void> {
    return new Promise((resolve) => {
      const worker = new Worker(entry, { workerData: { role: ROLE } });
      let current = -1;
      const give = () => {
        current = next < jobs.length ? next++ : -1;
        if (current >= 0) worker.postMessage(jobs[current]);
        else void worker.terminate();
      };
      const died = (why: string) => {
        if (current >= 0) events.failed(current, failureOf(new Error(why)));
        current = -1;
      };
      worker.on('message', (message: FromWorker<Note, Answer>) => {
        if (message.kind === 'note') return events.note?.(current, message.note);
        const job = current;
        current = -1;
        if (message.kind === 'done') events.done(job, message.answer);
        else events.failed(job, message.failure);
        return give();
      });
      worker.on('error', (error) => died(`the worker died: ${String(error)}`));
      worker.on('exit', (code) => {
        died(`the worker ended with status ${code}`);
        resolve();
      });
      give();
    });
  }
}

/** In a pool worker: does every job that comes. */
export function serveJobs<Job, Note, Answer>(
  work: (job: Job, note: (note: Note) => void) => Promise<Answer>,
): void {
  const port = parentPort;
  const send = (message: FromWorker<Note, Answer>) => port?.postMessage(message);
  port?.on('message', (job: Job) => {
    work(job, (note) => send({ kind: 'note', note })).then(
      (answer) => send({ kind: 'done', answer }),
      (error: unknown) => send({ kind: 'failed', failure: failureOf(error) }),
    );
  });
}

export function failureOf(error: unknown): WorkerFailure {
  const message = error instanceof Error ? error.message : String(error);
  return {
    message,
    code: error instanceof InputError ? error.code : null,
    stack: error instanceof Error ? (error.stack ?? message) : message,
    dump: error instanceof BugError ? error.dump : '',
  };
}
