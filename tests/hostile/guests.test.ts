// Interfaces and whole guests driven with nonsense: a few seeds here, and `npm run fuzz` goes on from there.

import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { interfaceNames, runNonsense, WAYS } from './guest.ts';
import { driveInterface } from './interface.ts';

const CALLS = 4000;

test.each(interfaceNames())('%s answers leaves, MSRs and calls of nonsense', (on) => {
  const wrong = driveInterface({ on, steps: CALLS, chance: new Chance(1) });
  expect(wrong, `npm run fuzz -- --only interface:${on} --seed 1`).toBeNull();
});

test.each(WAYS.map((way, n) => ({ way, on: interfaceNames()[n % interfaceNames().length]! })))(
  'a guest of nonsense in $way mode on $on ends in a verdict',
  async ({ way, on }) => {
    const chance = new Chance(1);
    const { verdict, instructions } = await runNonsense({ way, on, engine: 'interpreter', chance });
    expect(['hung', 'panic', 'ended']).toContain(verdict);
    expect(instructions).toBeGreaterThan(1000);
  },
);
