// One run of the probe kernel on one interface, and what it has found.

import type { EngineName } from '../../cpu/core.ts';
import type { BootWay, InterfaceChoice } from '../../hypervisors/index.ts';
import type { KernelImage } from '../../image/index.ts';
import {
  END_LINE,
  judgeLog,
  PROBES,
  type ProbeLog,
  type ProbeVerdict,
  readProbeLog,
  worstOf,
} from '../../probe/index.ts';
import type { LabConsole, LabHost } from '../host.ts';
import { type RunResult, runKernel } from '../run.ts';
import { DEFAULT_EPOCH_SECONDS, type RunSpec } from '../spec.ts';
import { type ProbeBits, probeKernel } from './probe-kernel.ts';

export interface ProbeRun {
  readonly on: InterfaceChoice;
  readonly bits: ProbeBits;
  readonly boot: BootWay;
  readonly engine: EngineName;
  readonly seed: number;
  /** Guest seconds after which nothing more is expected; five if not given. */
  readonly timeoutSeconds?: number;
}

export interface ProbeReport {
  readonly on: string;
  readonly bits: ProbeBits;
  readonly boot: BootWay;
  readonly log: ProbeLog | null;
  readonly verdicts: readonly ProbeVerdict[];
  /** The worst of the verdicts, or of the run. */
  readonly outcome: ProbeVerdict['outcome'];
  /** Why the run itself is at fault; empty if it is not. */
  readonly trouble: string;
  readonly result: RunResult;
  readonly console: string;
}

const MEMORY_BYTES = 32 << 20;
const TIMEOUT_SECONDS = 5;
const HOST_SECONDS = 60;

export function probeSpec(
  { on, bits, boot, engine, seed, timeoutSeconds }: ProbeRun,
  kernel: KernelImage = probeKernel(bits, on, boot),
): RunSpec {
  return {
    kernel,
    kernelDigest: kernel.digest(),
    on,
    boot,
    initrd: null,
    append: '',
    memoryBytes: MEMORY_BYTES,
    time: 'virtual',
    engine,
    timeoutSeconds: timeoutSeconds ?? TIMEOUT_SECONDS,
    hostCpuSeconds: HOST_SECONDS,
    expectText: END_LINE,
    failText: null,
    input: { kind: 'none' },
    seed,
    epochSeconds: DEFAULT_EPOCH_SECONDS,
  };
}

export async function runProbe(host: LabHost, run: ProbeRun): Promise<ProbeReport> {
  const { guest } = run.on.interface;
  let text = '';
  const console: LabConsole = {
    write: async (bytes) => {
      text += String.fromCharCode(...bytes);
    },
    read: () => new Uint8Array(0),
    quit: () => false,
  };
  const result = await runKernel(host, console, probeSpec(run));
  const log = readProbeLog(text);
  const verdicts = guest ? judgeLog(log, guest, run.bits, PROBES) : [];
  const trouble = troubleOf(run, log, result);
  const worst = worstOf(verdicts);
  return {
    on: run.on.name,
    bits: run.bits,
    boot: run.boot,
    log,
    verdicts,
    outcome: trouble !== '' && worst !== 'fail' ? 'error' : worst,
    trouble,
    result,
    console: text,
  };
}

function troubleOf({ on }: ProbeRun, log: ProbeLog | null, { verdict, reason }: RunResult): string {
  const { id, guest } = on.interface;
  if (!guest) return `${id} has no guest side for the probe kernel`;
  if (verdict !== 'up') return `${verdict}: ${reason}`;
  if (log && log.on !== guest.id) return `the kernel took what is beneath it for ${log.on}`;
  return '';
}
