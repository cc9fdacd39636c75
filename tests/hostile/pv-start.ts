// Damaged images at the start of day of a Xen PV domain: refused in a sentence, or built, and run for a while.

import { InputError } from '../../src/base/errors.ts';
import { bareGuest } from '../../src/hypervisors/testing/bare-guest.ts';
import { xenPv } from '../../src/hypervisors/xen-pv/index.ts';
import { openKernel } from '../../src/image/index.ts';
import type { Chance } from './chance.ts';
import { imageOf } from './pv-calls.ts';

const MEMORY = 4 << 20;
const CODE_BYTES = 64;
const INSTRUCTIONS = 500;
/** Headers and notes lie here. */
const HEAD_BYTES = 400;
const DAMAGE_MAX = 6;

/** Null: it did no harm. What is thrown beside an `InputError` is ours. */
export function drivePvStart(narrow: boolean, chance: Chance): string | null {
  const image = imageOf(narrow, chance.bytes(CODE_BYTES));
  for (let n = 1 + chance.below(DAMAGE_MAX); n > 0; n--) {
    const at = chance.below(Math.min(HEAD_BYTES, image.length));
    image[at] = chance.oneIn(2) ? chance.below(256) : image[at]! ^ (1 << chance.below(8));
  }
  const { attached, machine } = bareGuest(xenPv, {
    memoryBytes: MEMORY,
    engine: 'reference',
    seed: chance.below(100),
    transmit: () => {},
  });
  try {
    attached.start({ kernel: openKernel(image, 'damaged'), initrd: null, commandLine: '' });
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
  const stop = machine.run({ instructions: INSTRUCTIONS });
  return stop.kind === 'shutdown' ? stop.why : null;
}
