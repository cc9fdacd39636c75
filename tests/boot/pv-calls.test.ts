// Xen PV domains of both widths under 2000 seeds of 500 calls of nonsense each, in bounded memory.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Chance } from '../hostile/chance.ts';
import { PvCalls } from '../hostile/pv-calls.ts';

const SEEDS = 2000;
const CALLS = 500;
/** By then code is compiled and caches are full. */
const WARM = 200;
const GROWTH_MAX = 20 << 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function held(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

it.each([
  ['64', false],
  ['32', true],
] as const)(
  'a %s-bit domain is answered or ended, all its frames are counted, and nothing is left behind',
  (width, narrow) => {
    const domain = new PvCalls(narrow);
    let warm = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const wrong = domain.drive(new Chance(seed), CALLS);
      expect(wrong, `npm run fuzz -- --only pv-calls:${width} --seed ${seed}`).toBeNull();
      if (seed === WARM) warm = held();
    }
    expect(held() - warm).toBeLessThan(GROWTH_MAX);
  },
);
