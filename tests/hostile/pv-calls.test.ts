// Xen PV domains of both widths, driven with nonsense: a few seeds here; CI has 2000, and `npm run fuzz -- --only pv-` goes on.

import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { PvCalls } from './pv-calls.ts';
import { drivePvStart } from './pv-start.ts';

const SEEDS = 4;
const CALLS = 500;
const STARTS = 6;

const WIDTHS = [
  ['64', false],
  ['32', true],
] as const;

test.each(WIDTHS)(
  'a %s-bit domain is answered or ended, and all its frames are counted',
  (width, narrow) => {
    const domain = new PvCalls(narrow);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const wrong = domain.drive(new Chance(seed), CALLS);
      expect(wrong, `npm run fuzz -- --only pv-calls:${width} --seed ${seed}`).toBeNull();
    }
  },
);

test.each(WIDTHS)(
  'a damaged %s-bit image is refused in a sentence, or runs to some end',
  (width, narrow) => {
    for (let seed = 1; seed <= STARTS; seed++) {
      const wrong = drivePvStart(narrow, new Chance(seed));
      expect(wrong, `npm run fuzz -- --only pv-start:${width} --seed ${seed}`).toBeNull();
    }
  },
);
