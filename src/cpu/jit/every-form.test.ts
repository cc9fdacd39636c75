// Every form of the table as a translated block of one instruction, against the reference.

import { describe, expect, it } from 'vitest';
import { Interpreter } from '../interp/engine.ts';
import { instructions } from '../table.ts';
import { type Case, forEveryForm } from '../testing/cases.ts';
import { Differential } from '../testing/differential.ts';
import { referenceEngine } from '../testing/engines.ts';
import { engineOf } from '../testing/machine.ts';

const AT_ONCE = { tiered: true, threshold: 1, batch: 1, maxBlock: 1 };

describe('translated instructions', () => {
  it('do in 64-bit code what the reference does', { timeout: 120_000 }, () => {
    const engine = engineOf('jit', (parts) => new Interpreter(parts, AT_ONCE));
    const differential = new Differential(referenceEngine, engine);
    const differences: string[] = [];
    let cases = 0;
    const compare = (c: Case) => {
      cases++;
      const found = differential.compare(c);
      if (found !== null) differences.push(found);
    };
    forEveryForm(instructions, { seed: 40_000, perForm: 1, setups: ['long'] }, compare);
    expect(differences.slice(0, 5)).toEqual([]);
    expect(cases).toBeGreaterThan(700);
  });
});
