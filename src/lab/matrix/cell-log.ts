// What a cell keeps while it runs, and the cell that is made of it in the end.

import type { Progress } from '../host.ts';
import type { RunResult } from '../run.ts';
import type { Tracer } from '../trace/tracer.ts';
import { type Cell, type CellJob, EXIT_KINDS } from './cell.ts';

/** The end of the console's output that a cell keeps. */
const KEPT_LETTERS = 24_000;
const KEPT_LINES = 400;
/** Points of a chart; when there are more, every second one goes. */
const SAMPLES_MAX = 200;

export class CellLog {
  readonly tracer: Tracer;
  private text = '';
  private samples: Cell['samples'] = [];
  private stride = 1;
  private offered = 0;

  constructor(tracer: Tracer) {
    this.tracer = tracer;
  }

  write(text: string): void {
    this.text = (this.text + text).slice(-KEPT_LETTERS);
  }

  sample({ guestSeconds, exits }: Pick<Progress, 'guestSeconds' | 'exits'>): void {
    if (this.offered++ % this.stride !== 0) return;
    this.samples.push(this.sampleOf(guestSeconds, exits));
    if (this.samples.length < SAMPLES_MAX) return;
    this.samples = this.samples.filter((_, n) => n % 2 === 0);
    this.stride *= 2;
  }

  /** Everything so far, and the end of the run. */
  samplesTo(guestSeconds: number, exits: Readonly<Record<string, number>>): Cell['samples'] {
    return [...this.samples, this.sampleOf(guestSeconds, exits)];
  }

  private sampleOf(guestSeconds: number, exits: Readonly<Record<string, number>>) {
    const counts = EXIT_KINDS.map((kind) => exits[kind] ?? 0);
    return { guestSeconds, exits: counts, operations: this.tracer.groupCounts() };
  }

  lines(): string[] {
    if (this.text === '') return [];
    return this.text
      .split('\n')
      .map((line) => line.replace(/\r/g, '').replace(CONTROL, ''))
      .slice(-KEPT_LINES);
  }
}

/** Escape sequences (ECMA-48 5.4) and other control characters but the tab. */
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]/g;

export function cellOfRun(job: CellJob, result: RunResult, log: CellLog): Cell {
  return {
    kernel: job.kernel,
    kernelVersion: result.kernel.version,
    sha256: result.kernel.sha256,
    interface: result.interface,
    shape: job.shape,
    verdict: result.verdict,
    reason: result.reason,
    timedOut: result.timedOut,
    instructions: result.instructions,
    guestSeconds: result.guestSeconds,
    hostSeconds: result.hostCpuSeconds,
    memoryBytes: job.memoryBytes,
    touchedBytes: result.touchedBytes,
    exits: { ...result.exits },
    operations: log.tracer.counts().map(({ operations, entryPoint, count }) => ({
      ...{ operations: [...operations], entryPoint, count },
    })),
    stateHash: result.stateHash,
    consoleDigest: result.consoleDigest,
    console: log.lines(),
    vcpu: result.vcpu,
    samples: log.samplesTo(result.guestSeconds, { ...result.exits }),
  };
}

/** A cell that never got as far as a guest. */
export function emptyCell(job: CellJob, verdict: 'absent' | 'error', reason: string): Cell {
  return {
    kernel: job.kernel,
    kernelVersion: '',
    sha256: null,
    shape: job.shape,
    interface: job.without.length === 0 ? job.on : `${job.on} without ${job.without.join(', ')}`,
    verdict,
    reason,
    timedOut: false,
    instructions: 0,
    guestSeconds: 0,
    hostSeconds: 0,
    memoryBytes: job.memoryBytes,
    touchedBytes: 0,
    exits: {},
    operations: [],
    stateHash: null,
    consoleDigest: null,
    console: [],
    vcpu: null,
    samples: [],
  };
}
