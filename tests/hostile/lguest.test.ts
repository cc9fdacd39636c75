// lguest's calls, faults and interrupts with nonsense: a few seeds here, and `npm run fuzz -- --only entries:lguest` goes on.

import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { driveLguest } from './lguest.ts';

const SEEDS = 4;

test.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
  'seed %i leaves the host what is its own',
  (seed) => {
    expect(driveLguest({ steps: 300, chance: new Chance(seed), version: '2.6.32' })).toBeNull();
  },
);
