// What things cost on the host: a run of the probe kernel that only measures, timed by the CPU seconds of the host. Never the same twice.

import { BEGIN_WORD, MEASURE_NAMES, type MeasurePlan, TIMED } from '../../probe/index.ts';
import type { LabConsole, LabHost } from '../host.ts';
import { runKernel } from '../run.ts';
import { timedProbe } from './probe-kernel.ts';
import { type ProbeRun, probeSpec } from './run-probe.ts';

/** CPU nanoseconds of the host for one round of each thing, that of an empty round among them. */
export type HostTimes = ReadonlyMap<string, number>;

const NEWLINE = 10;
const silent: LabConsole = {
  write: async () => {},
  read: () => new Uint8Array(0),
  quit: () => false,
};

export async function hostTimes(
  host: LabHost,
  run: ProbeRun,
  plan: MeasurePlan = TIMED,
): Promise<HostTimes> {
  const times = new Map<string, number>();
  let line = '';
  let begun = 0;
  await runKernel(host, silent, probeSpec(run, timedProbe(run.bits, run.on, plan)), {
    tracer: null,
    printed(byte) {
      if (byte !== NEWLINE) {
        line += String.fromCharCode(byte);
        return;
      }
      const [word = '', name = ''] = line.split(' ');
      line = '';
      if (word === BEGIN_WORD) begun = host.cpuSeconds();
      if (word === 'measure' && MEASURE_NAMES.includes(name))
        times.set(name, ((host.cpuSeconds() - begun) * 1e9) / (1 << plan.roundsLog2));
    },
  });
  return times;
}
