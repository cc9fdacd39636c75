// Every form of the table as a block of one instruction, against the reference.

import { describe, expect, it } from 'vitest';
import { instructions } from '../table.ts';
import { type Case, forEveryForm } from '../testing/cases.ts';
import { Differential } from '../testing/differential.ts';
import { referenceEngine } from '../testing/engines.ts';
import { engineOf } from '../testing/machine.ts';
import { BlockEngine } from './engine.ts';

describe.each([
  { setup: 'long', anyAddress: false },
  { setup: 'real', anyAddress: true },
] as const)('one-instruction blocks in $setup', ({ setup, anyAddress }) => {
  it('do what the reference does', () => {
    const engine = engineOf('jit', (parts) => new BlockEngine(parts, { anyAddress }));
    const differential = new Differential(referenceEngine, engine);
    const differences: string[] = [];
    let cases = 0;
    const compare = (c: Case) => {
      cases++;
      const found = differential.compare(c);
      if (found !== null) differences.push(found);
    };
    forEveryForm(instructions, { seed: 40_000, perForm: 1, setups: [setup] }, compare);
    expect(differences.slice(0, 5)).toEqual([]);
    expect(cases).toBeGreaterThan(700);
  });
});
