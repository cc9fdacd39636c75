// lguest's and VMI's entry points with nonsense: a few seeds here; tests/boot/entry-calls.test.ts has thousands, and `npm run fuzz` goes on.

import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { LguestCalls } from './lguest.ts';
import { VmiCalls } from './vmi-calls.ts';

const SEEDS = 4;
const STEPS = 300;

test.each([
  ['lguest@2.6.32', () => new LguestCalls('2.6.32')],
  ['vmi@3.0', () => new VmiCalls('3.0')],
  ['vmi@3.0-ring1', () => new VmiCalls('3.0-ring1')],
] as const)('a guest of nonsense leaves the host of %s what is its own', (name, make) => {
  const calls = make();
  for (let seed = 1; seed <= SEEDS; seed++)
    expect(
      calls.drive(new Chance(seed), STEPS),
      `npm run fuzz -- --only entries:${name} --seed ${seed}`,
    ).toBeNull();
});
