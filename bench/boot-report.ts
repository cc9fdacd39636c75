// The table of bench:boot: what each machine's boot cost, and how far each target of the project is.

import type { Machine } from './guest/machines.ts';
import type { Target } from './guest/report.ts';
import type { Bits } from './guest/suite.ts';
import { type Cost, median } from './measure.ts';

export interface Boot {
  readonly name: string;
  readonly machine: Machine['name'];
  readonly how: string;
  /** Null: it did not get there. */
  readonly cpuSeconds: number | null;
  readonly instructions: number | null;
  readonly peakMegabytes: number;
  readonly runs: readonly Cost[];
}

/** CPU seconds of our best interface by those of a peer: the table in docs/benchmarks.md. */
const TARGETS: Readonly<
  Record<
    Bits,
    readonly { peer: Machine['name']; required: number | null; stretch: number | null }[]
  >
> = {
  64: [{ peer: 'QEMU', required: 2.5, stretch: 1.5 }],
  32: [
    { peer: 'v86', required: 0.6, stretch: null },
    { peer: 'QEMU', required: null, stretch: 1.5 },
  ],
};
const MEGABYTES = { required: 450, stretch: 350 } as const;
const START_SECONDS = 0.4;

export function bootOf(name: string, { name: machine, how }: Machine, runs: readonly Cost[]): Boot {
  const some = runs.length > 0;
  return {
    name,
    machine,
    how,
    cpuSeconds: some ? median(runs.map((run) => run.cpuSeconds)) : null,
    instructions: runs[0]?.instructions ?? null,
    peakMegabytes: Math.max(0, ...runs.map((run) => run.peakMegabytes)),
    runs,
  };
}

/** The boot that took least, of one machine. */
function best(boots: readonly Boot[], machine: Machine['name']): Boot | null {
  const there = boots.filter((boot) => boot.machine === machine && boot.cpuSeconds !== null);
  return there.sort((a, b) => a.cpuSeconds! - b.cpuSeconds!)[0] ?? null;
}

function ratio(boot: Boot | null, peer: Boot | null): number | null {
  return boot && peer ? boot.cpuSeconds! / peer.cpuSeconds! : null;
}

export function bootTargets(boots: readonly Boot[], bits: Bits, startSeconds: number): Target[] {
  const ours = best(boots, 'pvops');
  const times = TARGETS[bits].map(({ peer, required, stretch }) => ({
    name: `boot on ${ours?.name ?? 'pvops'} by ${peer}`,
    ratio: ratio(ours, best(boots, peer)),
    required,
    stretch,
  }));
  return [
    ...times,
    { name: 'memory, MB', ratio: ours?.peakMegabytes ?? null, ...MEGABYTES },
    {
      name: 'first instruction, CPU s',
      ratio: startSeconds,
      required: START_SECONDS,
      stretch: null,
    },
  ];
}

export function bootText(boot: Boot, boots: readonly Boot[]): string {
  const { name, machine, how, cpuSeconds, instructions, peakMegabytes, runs } = boot;
  if (cpuSeconds === null) return `${name.padEnd(16)} did not get there   (${how})`;
  const peers = (['QEMU', 'v86'] as const).flatMap((peer) => {
    const by = machine === peer ? null : ratio(boot, best(boots, peer));
    return by === null ? [] : [`${by.toFixed(2)}x ${peer}`];
  });
  return [
    name.padEnd(16),
    `${cpuSeconds.toFixed(2)} CPU s`.padStart(12),
    (instructions === null ? '-' : `${(instructions / 1e6).toFixed(0)} Minsn`).padStart(12),
    `${peakMegabytes.toFixed(0)} MB`.padStart(9),
    `  ${[...peers, how, `median of ${runs.length}`].join('; ')}`,
  ].join('');
}
