// `npm run bench:exits [-- --rounds N --count N --engine NAME --on NAME --kind call|table|event --json FILE]`: what leaving the guest costs, beside an IN.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { EngineName } from '../src/cpu/core.ts';
import { type Looping, PROGRAMS, portRead } from './exits/programs.ts';
import { type ExitKind, type ExitRow, exitTable } from './exits-report.ts';
import { median } from './measure.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    count: { type: 'string', default: '100000' },
    engine: { type: 'string', default: 'jit' },
    on: { type: 'string', multiple: true, default: Object.keys(PROGRAMS) },
    kind: { type: 'string', multiple: true, default: ['call', 'table', 'event'] },
    json: { type: 'string' },
  },
});
const rounds = Math.max(1, Number(values.rounds) || 5);
const count = Math.max(1, Number(values.count) || 100_000);
const engine = values.engine as EngineName;
/** Few, so that a slice ends close behind the count that is wanted. */
const SLICE = 20_000;
const kinds = values.kind as readonly ExitKind[];

const baseline = portRead(engine);
const guests = values.on.flatMap((on) =>
  kinds.flatMap((kind) => {
    const make = PROGRAMS[on]?.[kind];
    return make
      ? [{ on, kind, guest: make(engine), nanos: [] as number[], ratios: [] as number[] }]
      : [];
  }),
);
for (const guest of [baseline, ...guests.map((entry) => entry.guest)]) nanosEach(guest); // Warm.
const port: number[] = [];
for (let round = 0; round < rounds; round++) {
  // The baseline beside each: this machine's speed changes within a round.
  for (const { guest, nanos, ratios } of guests) {
    const beside = nanosEach(baseline);
    const each = nanosEach(guest);
    port.push(beside);
    nanos.push(each);
    ratios.push(each / beside);
  }
}
const rows: ExitRow[] = guests.map(({ on, kind, nanos, ratios }) => ({
  on,
  kind,
  nanos: median(nanos),
  ratio: median(ratios),
}));
process.stdout.write(exitTable(rows, { count, rounds, portNanos: median(port) }));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);

/** CPU nanoseconds of this process for each round of the guest's loop. */
function nanosEach({ machine, cpu, counter }: Looping): number {
  const rounds = () => cpu.state.gpr32(counter);
  const first = rounds();
  const before = process.cpuUsage();
  for (let done = 0; done < count; done = rounds() - first) {
    const stop = machine.run({ instructions: SLICE });
    if (stop.kind !== 'slice') throw new Error(`the guest has stopped: ${JSON.stringify(stop)}`);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (rounds() - first);
}
