// Each guest of bench:exits goes round and round on each engine.

import { expect, it } from 'vitest';
import type { EngineName } from '../../src/cpu/core.ts';
import { PROGRAMS, portRead } from './programs.ts';

const guests = Object.entries(PROGRAMS).flatMap(([on, kinds]) =>
  Object.entries(kinds).flatMap(([kind, make]) => (make ? [{ on, kind, make }] : [])),
);

it.each([{ on: 'native', kind: 'port', make: portRead }, ...guests])('$on: $kind', ({ make }) => {
  for (const engine of ['interpreter', 'jit'] satisfies EngineName[]) {
    const { machine, cpu, counter } = make(engine);
    const stops = [1, 2].map(() => machine.run({ instructions: 5000 }).kind);
    expect(stops).toEqual(['slice', 'slice']);
    expect(cpu.state.gpr32(counter)).toBeGreaterThan(100);
  }
});
