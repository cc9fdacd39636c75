// Xen PV domains, guests of lguest and VMI kernels under 2000 seeds of 500 calls of nonsense each, in bounded memory.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Chance } from '../hostile/chance.ts';
import { LguestCalls } from '../hostile/lguest.ts';
import { PvCalls } from '../hostile/pv-calls.ts';
import { VmiCalls } from '../hostile/vmi-calls.ts';

const SEEDS = 2000;
const CALLS = 500;
/** By then code is compiled and caches are full. */
const WARM = 200;
const GROWTH_MAX = 20 << 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A machine that was made anew leaves memory of WebAssembly, which is given back only between two turns. */
async function held(): Promise<number> {
  for (let n = 0; n < 2; n++) {
    collect();
    await nextTurn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** By the names of `npm run fuzz`. */
const GUESTS = {
  'pv-calls:64': () => new PvCalls(false),
  'pv-calls:32': () => new PvCalls(true),
  'entries:lguest@2.6.32': () => new LguestCalls('2.6.32'),
  'entries:vmi@3.0': () => new VmiCalls('3.0'),
};

it.each(Object.entries(GUESTS))(
  '%s: the guest is answered or ended, the host keeps what is its own, and nothing is left behind',
  async (name, make) => {
    const guest = make();
    let warm = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const wrong = guest.drive(new Chance(seed), CALLS);
      expect(wrong, `npm run fuzz -- --only ${name} --seed ${seed}`).toBeNull();
      if (seed === WARM) warm = await held();
    }
    expect((await held()) - warm).toBeLessThan(GROWTH_MAX);
  },
);
