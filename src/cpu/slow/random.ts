// The generator behind RDRAND and RDSEED: seeded, part of the vCPU's state, the same in every run.

import { defineSlow } from './define.ts';

const STEP = 0x9e3779b97f4a7c15n;

/** SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Result: value (64). */
export const random = defineSlow({
  name: 'random',
  ref: 'SDM 2B RDRAND, RDSEED',
  run({ state }) {
    const next = BigInt.asUintN(64, state.get64('random') + STEP);
    state.set64('random', next);
    let z = BigInt.asUintN(64, (next ^ (next >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    state.ret64(0, z ^ (z >> 31n));
    return 0;
  },
});
