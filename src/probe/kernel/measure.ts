// What things cost: rounds of one thing between two readings of the time stamp counter.

import type { Emitter } from './emitter.ts';

export function emitMeasures(code: Emitter): void {
  code.text('kernel.measures:; ret');
}
