// RESET: what it leaves alone.

import { expect, it } from 'vitest';
import { reset } from './reset.ts';
import { createMachine } from './testing/machine.ts';

it('keeps the time that the machine has skipped, so that the time-stamp counter does not go back', () => {
  const { state } = createMachine();
  state.setVa('skipped', 5_000_000_000);
  reset(state);
  expect(state.getVa('skipped')).toBe(5_000_000_000);
});
